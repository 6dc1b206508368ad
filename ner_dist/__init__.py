"""Fine-tune encoders for named-entity recognition on any number of GPUs, and compare the results.

The names of `__all__` are the public API. Each is imported when it is first used: importing the package alone
needs neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner_dist.api import compare, train_recipe
    from ner_dist.comparison.results import Comparison
    from ner_dist.errors import UserError
    from ner_dist.evaluation.command import evaluate
    from ner_dist.labels import LabelSet
    from ner_dist.prediction.tagger import Tagger, load_tagger
    from ner_dist.recipe import Recipe
    from ner_dist.recipe_file import load_recipe
    from ner_dist.run.directory import Run

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "LabelSet",
    "Recipe",
    "Run",
    "Tagger",
    "UserError",
    "__version__",
    "compare",
    "evaluate",
    "load_recipe",
    "load_tagger",
    "train_recipe",
]

_MODULES = {
    "Comparison": "comparison.results",
    "LabelSet": "labels",
    "Recipe": "recipe",
    "Run": "run.directory",
    "Tagger": "prediction.tagger",
    "UserError": "errors",
    "compare": "api",
    "evaluate": "evaluation.command",
    "load_recipe": "recipe_file",
    "load_tagger": "prediction.tagger",
    "train_recipe": "api",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
