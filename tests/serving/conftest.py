"""Two small runs, and servers of them in this process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file, save_file

import ner_dist
from tests.distributed.launching import RECIPE

NO_SERVER = "no packages of the server: pip install 'ner_dist[serve]'"
LEARNT = [
    "train.max_steps=40",
    "train.learning_rate=5e-3",
    "train.class_weights=balanced",
    "evaluation.every=40",
]


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """The folders of two runs. The second is the first with other weights in its head: they disagree."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    recipe = ner_dist.load_recipe(folder / "tiny.yaml", [*LEARNT, f"output_dir={folder / 'first'}"])
    first = ner_dist.train_recipe(recipe)
    shutil.copytree(first.folder, folder / "second")
    file = folder / "second" / "model" / "model.safetensors"
    weights, noise = load_file(file), torch.Generator().manual_seed(1)
    head = weights["classifier.weight"]
    weights["classifier.weight"] = head + head.std() * torch.randn(head.shape, generator=noise)
    save_file(weights, file, {"format": "pt"})
    (folder / "second" / "SHA256SUMS").unlink()
    return [first.folder, folder / "second"]


@pytest.fixture(scope="session")
def models(runs):
    pytest.importorskip("fastapi", reason=NO_SERVER)
    from ner_dist.serving.app import Served

    return [Served(folder.name, ner_dist.load_tagger(folder, device="cpu")) for folder in runs]


@pytest.fixture(scope="session")
def tagger(models):
    return models[0].tagger


@pytest.fixture(scope="session")
def running(models) -> Callable:
    """Serve the first models on a free port until the block ends; yields the address."""
    uvicorn = pytest.importorskip("uvicorn", reason=NO_SERVER)
    from ner_dist.serving.app import Server, build
    from ner_dist.serving.command import _listen
    from ner_dist.serving.settings import Limits

    @contextmanager
    def serving(number: int = 1, token: str | None = None, **limits) -> Iterator[str]:
        app = build(Server(models[:number], Limits(**limits), token))
        with _listen("127.0.0.1", 0) as listening:
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()

    return serving
