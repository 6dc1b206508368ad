"""Worker of `throughput.py`: flair's fine-tuning of an encoder with a linear layer, without CRF or RNN.

As its documentation does it, except that a sentence is read on its own like everybody's, without its
neighbours (`use_context`). It tokenises while it trains.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import torch
from worker import Watch, read, run

LABEL = "ner"


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up."""
    # Read when flair is imported, which makes the folder.
    os.environ["FLAIR_CACHE_ROOT"] = settings.scratch
    import flair
    from flair.data import Corpus
    from flair.embeddings import TransformerWordEmbeddings
    from flair.models import SequenceTagger
    from flair.trainers import ModelTrainer
    from flair.trainers.plugins import TrainerPlugin

    class Timing(TrainerPlugin):
        """From before the first batch is made to the end of the last step, evaluation left out."""

        steps = 0

        @TrainerPlugin.hook
        def before_training_epoch(self, **_: Any) -> None:
            watch.start()

        @TrainerPlugin.hook
        def after_training_batch(self, **_: Any) -> None:
            self.steps += 1

        @TrainerPlugin.hook
        def after_training_epoch(self, **_: Any) -> None:
            watch.stop()

    if settings.precision != "fp32":
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}[settings.precision]
        torch.set_autocast_dtype(flair.device.type, kind)
    flair.set_seed(settings.seed)
    rows = read(f"{settings.data}/train.jsonl")[: settings.train_sentences]
    sentences = [_sentence(row) for row in rows]
    embeddings = TransformerWordEmbeddings(
        settings.model,
        layers="-1",
        subtoken_pooling="first",
        fine_tune=True,
        use_context=False,
    )
    watch = Watch(embeddings.model)

    def train(part: list[Any], *plugins: TrainerPlugin) -> None:
        # It wants to score something after the epoch: one sentence.
        corpus = Corpus(train=part, dev=sentences[:1], test=sentences[:1])
        ModelTrainer(tagger, corpus).fine_tune(
            settings.scratch,
            learning_rate=settings.learning_rate,
            mini_batch_size=settings.sentences,
            max_epochs=1,
            use_amp=settings.precision != "fp32",
            save_final_model=False,
            plugins=list(plugins),
        )

    whole = Corpus(train=sentences, dev=sentences[:1], test=sentences[:1])
    tagger = SequenceTagger(
        embeddings=embeddings,
        tag_dictionary=whole.make_label_dictionary(LABEL, add_unk=False),
        tag_type=LABEL,
        use_crf=False,
        use_rnn=False,
        reproject_embeddings=False,
    )
    train(sentences[: settings.warmup * settings.sentences])
    timing = Timing()
    train(sentences, timing)
    return watch.measured | {"steps": timing.steps}


def _sentence(row: dict[str, Any]) -> Any:
    """A sentence whose entities are spans; one that begins with I- counts, too."""
    from flair.data import Sentence

    sentence = Sentence(row["tokens"])
    start = 0
    for place, tag in enumerate(tags := [*row["ner_tags"], "O"]):
        before = tags[place - 1] if place else "O"
        if before != "O" and tag != f"I-{before[2:]}":
            sentence[start:place].add_label(LABEL, before[2:])
        if tag != "O" and (tag[0] == "B" or before[2:] != tag[2:]):
            start = place
    return sentence


if __name__ == "__main__":
    run(measure, packages=("flair",))
