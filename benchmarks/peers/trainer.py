"""Worker of `throughput.py`: transformers' Trainer, set up as its example `run_ner.py`, with nothing saved.

With `settings.by_length` it groups sentences of similar length, as `train_sampling_strategy` asks it to.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from datasets import Dataset
from hf_trainer import Timing, training_arguments
from tagging import Tagging
from transformers import Trainer
from transformers.trainer_pt_utils import get_length_grouped_indices
from worker import Watch, now, run


class ByLength(Trainer):
    """Groups a short sample as the sampler groups a whole data set.

    It sorts 50 batches at a time, but fewer of a sample so small that this would leave less than four groups,
    and so leaves more padding than it does in earnest: 24 % in 768 sentences of Wikipedia, 6 % in 11,590.
    Sorted 50 batches at a time, such a sample keeps 9 %.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> list[int]:
        return self._order(train_dataset or self.train_dataset, self.args.train_batch_size)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> list[int]:
        return self._order(eval_dataset, self.args.eval_batch_size)

    def _order(self, dataset: Dataset, batch_size: int) -> list[int]:
        lengths = [len(row) for row in dataset["input_ids"]]
        return get_length_grouped_indices(lengths, batch_size, mega_batch_mult=50)


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up, then evaluate."""
    tagging = Tagging(settings)
    watch = Watch(tagging.model)
    _trainer(tagging, settings, max_steps=settings.warmup).train()
    trainer = _trainer(tagging, settings, num_train_epochs=1)
    trainer.add_callback(Timing(watch))
    trainer.train()
    evaluations = _evaluate(tagging, settings)
    return watch.measured | {"steps": trainer.state.global_step, "evaluations": evaluations}


def _trainer(tagging: Tagging, settings: SimpleNamespace, **schedule: Any) -> Trainer:
    arguments = training_arguments(settings, **schedule)
    kind = ByLength if settings.by_length else Trainer
    return kind(
        tagging.model,
        arguments,
        data_collator=tagging.collator,
        train_dataset=tagging.train,
        processing_class=tagging.tokenizer,
        compute_metrics=tagging.scores,
    )


def _evaluate(tagging: Tagging, settings: SimpleNamespace) -> list[dict[str, Any]]:
    """By default as `run_ner.py` does; with sentences by length also in larger batches and low precision."""
    test = tagging.test(settings)
    ways: dict[str, dict[str, Any]] = {"batch 8, its default": {}}
    if settings.by_length:
        ways = {"batch 64, by length": {"per_device_eval_batch_size": 64}}
        if settings.precision != "fp32":
            whole = {f"{settings.precision}_full_eval": True}
            ways[f"batch 64, by length, {settings.precision} weights"] = whole | {
                "per_device_eval_batch_size": 64
            }
    evaluations = []
    for how, options in ways.items():
        trainer = _trainer(tagging, settings, **options)
        began = now()
        figures = trainer.evaluate(test)
        evaluations.append({"how": how, "seconds": now() - began, "f1": figures["eval_f1"]})
    return evaluations


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
