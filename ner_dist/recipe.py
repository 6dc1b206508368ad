"""Recipes: every setting that decides what is trained, with its type, its default and what it means.

The classes below are the keys of a recipe's YAML file, section by section; `recipe_file.py` reads them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Auto = Literal["auto"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values are frozen once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


SCRATCH = "scratch"
"""`model.name` of an encoder that is trained from random weights."""
AUTO_KEYS = ("epochs", "batch_tokens", "learning_rate")
"""The keys of `train` that may be `auto`, since their numbers suit one data set."""
SMALLEST_STEP = 1024
"""Padded subwords of the smallest step that `train.batch_tokens: auto` chooses."""


class ScratchModel(Section):
    """The shape of a RoBERTa that is trained from random weights (`model.name: scratch`)."""

    vocab_size: Annotated[int, Field(ge=300)] = 4000
    """Size of the byte-level BPE vocabulary learnt from the training split, in subwords."""
    hidden_size: Positive = 128
    """Width of the hidden states; a multiple of `heads`."""
    layers: Positive = 2
    """Number of transformer layers."""
    heads: Positive = 4
    """Number of attention heads in each layer."""
    max_length: Annotated[int, Field(ge=16)] = 128
    """Longest input in subwords, special tokens included."""

    @model_validator(mode="after")
    def _heads_divide_hidden_size(self) -> ScratchModel:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads {self.heads} must divide hidden_size {self.hidden_size}")
        return self


class Model(Section):
    """The encoder that is fine-tuned."""

    name: Annotated[str, Field(min_length=1)] = "roberta-base"
    """Hub name, local folder, or `scratch` for random weights and a tokenizer of its own."""
    revision: str | None = None
    """Branch, tag or commit of the model on the hub; null takes the newest."""
    dropout: Fraction | None = None
    """Dropout of hidden states, attention and classifier; null keeps what the model came with."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more compute."""
    compile: bool = False
    """Run the encoder through `torch.compile`: slow to start, then faster on a GPU."""
    scratch: ScratchModel = ScratchModel()
    """Shape of the model that `name: scratch` trains."""


class SplitNames(Section):
    """What the data calls its splits; null for a split that is not to be used."""

    train: str = "train"
    """Name of the split to train on."""
    validation: str | None = "validation"
    """Name of the split that chooses the best weights; null keeps those of the last step."""
    test: str | None = "test"
    """Name of the split that is scored at the end; null scores none."""


class Synthetic(Section):
    """Size and seed of the embedded corpus (`data.path: synthetic`)."""

    seed: int = 0
    """Seed of the generator: another one gives another corpus."""
    train: Positive = 6000
    """Sentences to train on."""
    validation: Positive = 800
    """Sentences of the validation split."""
    test: Positive = 1200
    """Sentences of the test split."""


class Data(Section):
    """Where the sentences come from and how they are read."""

    path: Annotated[str, Field(min_length=1)]
    """Hub name, local folder (of files, or as `DatasetDict.save_to_disk` writes it), local file, or
    `synthetic`."""
    name: str | None = None
    """Configuration of a hub dataset, where it has several."""
    revision: str | None = None
    """Branch, tag or commit of the data set on the hub; null takes the newest."""
    splits: SplitNames = SplitNames()
    """What the data calls its splits."""
    files: dict[Literal["train", "validation", "test"], str] = {}
    """File of each split, relative to `path`, where the folder's file names do not say it."""
    format: Literal["auto", "jsonl", "json", "parquet", "conll"] = "auto"
    """Format of local files; auto goes by the file's ending, or by how it begins where that says nothing."""
    language: str | None = None
    """Keep the sentences whose `language_column` holds this; null keeps all."""
    language_column: str = "lang"
    """Name of the column of languages."""
    tokens_column: str | int = "tokens"
    """Name of the column of words. In CoNLL files its number from 0, or its name where a header or
    `# global.columns` gives one; the default is the first column that does not number words or sentences, in
    CoNLL-U FORM."""
    tags_column: str | int = "ner_tags"
    """Name of the column of tags. In CoNLL files its number (-1 is the last) or name, or `MISC:NER` for an
    attribute of CoNLL-U's column MISC; the default is the last column, or the only one that holds tags."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """What stands between CoNLL columns: `tab`, `whitespace`, or the text itself; null is tabs where the
    lines hold tabs, else white space."""
    label_names: list[str] | None = None
    """Tag of each id, where tags are numbers and the data does not name them."""
    repair: Literal["none", "begin"] = "none"
    """What becomes of an I- that continues no entity, in data whose entities begin with B-: `none` keeps it,
    and strict scoring counts no entity there; `begin` has an entity begin with it."""
    deduplicate: bool = True
    """Drop exact repeats of a sentence within a split."""
    drop_test_sentences_from_train: bool = False
    """Drop training sentences that also stand in validation or test (they are counted in any case)."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Longest window in subwords, special tokens included; null is what the model can take."""
    window_overlap: Annotated[int, Field(ge=0)] = 64
    """Subwords that neighbouring windows of one long sentence share."""
    cache_dir: str | None = None
    """Where prepared data is kept; null is $NER_DIST_CACHE or ~/.cache/ner_dist."""
    synthetic: Synthetic = Synthetic()
    """Size and seed of the embedded corpus, which `path: synthetic` names."""


class Train(Section):
    """The optimisation, in terms that do not depend on the hardware.

    `auto` chooses from the number of subwords in the training split and the width of the encoder; see
    `training/auto.py` for the rule. The numbers chosen are in the log, in RUN/recipe.yaml and in
    results.json.
    """

    epochs: Positive | Auto = "auto"
    """Passes over the training split, or `auto`."""
    max_steps: Positive | None = None
    """Train this many steps instead of `epochs`; the schedule is stretched over them."""
    batch_tokens: Positive | Auto = "auto"
    """Padded subwords an optimiser step holds, over all processes, or `auto`."""
    micro_batch_tokens: Positive = 2048
    """Padded subwords one forward pass holds, at most half a step if `batch_tokens` is `auto`; lower it if a
    GPU's memory is too small."""
    learning_rate: Rate | Auto = "auto"
    """Peak learning rate of AdamW, reached at the end of the warm-up, or `auto`."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up: in a line, as half a cosine, or not at all."""
    warmup_ratio: Fraction = 0.1
    """Share of all steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's decay of the weights; biases and layer norms are spared."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer to the one below; 1 switches it off."""
    adam_betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    """AdamW's decay rates of the running means of the gradient and of its square."""
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """AdamW's addend to the denominator."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Norm that a step's gradient is clipped to; null never clips."""
    label_smoothing: Fraction = 0.0
    """Share of the target probability that is spread evenly over all labels."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Weight of each type in the loss (`O` too; 1 where not named), or `balanced` for inverse frequency."""
    max_nonfinite_steps: Positive = 5
    """Stop after this many steps in a row with a loss or gradient that is not finite."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 13
    """Seed of the order of sentences, of dropout and of new weights."""

    @model_validator(mode="after")
    def _micro_batch_fits_batch(self) -> Train:
        if self.batch_tokens != "auto" and self.micro_batch_tokens > self.batch_tokens:
            raise ValueError(
                f"micro_batch_tokens {self.micro_batch_tokens} exceeds batch_tokens {self.batch_tokens}; "
                "lower the one or raise the other"
            )
        return self

    @property
    def micro_batches(self) -> int:
        """M, the number of micro-batches a step is cut into; the least there can be if `auto` decides."""
        if self.batch_tokens == "auto":
            return max(2, -(-SMALLEST_STEP // self.micro_batch_tokens))
        return -(-self.batch_tokens // self.micro_batch_tokens)

    @property
    def longest_example(self) -> int:
        """Subwords that every micro-batch is sure to hold, whatever `auto` will choose."""
        step = SMALLEST_STEP if self.batch_tokens == "auto" else self.batch_tokens
        return step // self.micro_batches


class FixedTrain(Train):
    """`Train` with a number for every `auto`; `training/auto.py` makes it."""

    epochs: Positive
    batch_tokens: Positive
    learning_rate: Rate


class Evaluation(Section):
    """When and how the model is scored on the validation split while it trains."""

    every: Positive | Literal["auto", "epoch"] = "auto"
    """Steps between evaluations, `epoch`, or `auto`: every epoch, but at most 20 times in a training."""
    early_stopping: Positive | None = None
    """Stop after this many evaluations without a better F1. The same F1 at a lower loss makes better weights,
    which are kept, but does not count as better here."""
    batch_tokens: Positive = 8192
    """Padded subwords a forward pass holds; changes the speed alone."""


class Checkpoint(Section):
    """When the training state is saved."""

    every: Positive | None = 500
    """Steps between checkpoints; null for none but the best weights: a killed run starts over."""
    keep_last: Positive = 2
    """Number of checkpoints that stay, beside the best weights."""


class Logging(Section):
    """What is reported while training."""

    every: Positive = 10
    """Steps between lines in the log and in metrics.jsonl."""
    trackers: list[Literal["tensorboard", "wandb", "mlflow"]] = []
    """Trackers that get the figures too, as `[tensorboard]`; `pip install 'ner_dist[tracking]'` has all."""
    project: str = "ner_dist"
    """Project name that the trackers are given."""


class Recipe(Section):
    """One training run: everything that decides what is learnt.

    Recipes are frozen: `load_recipe` reads one, with overrides, and one can be built from values.

    Example:
        >>> import ner_dist
        >>> values = {"name": "mine", "output_dir": "runs/mine", "data": {"path": "synthetic"}}
        >>> recipe = ner_dist.Recipe.model_validate(values)
        >>> recipe.labels, recipe.train.schedule
        ('all', 'linear')
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]+$")]
    """What to call the run: letters, digits, `_`, `.` and `-`."""
    output_dir: Annotated[str, Field(min_length=1)]
    """Folder that the run writes into."""
    overwrite: bool = False
    """Move another recipe's run out of `output_dir` (to `<output_dir>.old-N`) instead of refusing."""
    resume: Annotated[str, Field(min_length=1)] = "auto"
    """`auto` goes on from the newest checkpoint in `output_dir`; `never` moves the run there aside and starts
    over; a checkpoint's folder is where a run begins that has none of its own. A checkpoint of the run itself
    has it go back there, at every start: give it once, then `auto` again."""
    model: Model = Model()
    """The encoder that is fine-tuned."""
    data: Data
    """Where the sentences come from and how they are read."""
    labels: Literal["all"] | list[str] = "all"
    """Entity types to learn; every other type becomes `O`."""
    precision: Precision = "auto"
    """Number format to compute in; auto goes by the launch config, then by the hardware."""
    train: Train = Train()
    """The optimisation, in terms that do not depend on the hardware."""
    evaluation: Evaluation = Evaluation()
    """When the model is scored on the validation split while it trains."""
    checkpoint: Checkpoint = Checkpoint()
    """When the training state is saved."""
    logging: Logging = Logging()
    """What is reported while training."""

    _other_data: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def numbers_of_other_data(self) -> dict[str, str]:
        """Keys of `train` whose number a recipe file chose for other data, and that data's `data.path`."""
        return self._other_data


class FixedRecipe(Recipe):
    """A recipe without `auto` in how it trains."""

    train: FixedTrain


# Defaults of before these keys took `auto`; a run that was begun then has them in its recipe.yaml.
_FORMER_DEFAULTS: dict[str, dict[str, int | float | str]] = {
    "train": {"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5},
    "evaluation": {"every": "epoch"},
}


def as_begun(recipe: Recipe, begun: Recipe) -> Recipe:
    """The recipe with former defaults for keys that it does not name, where its run was begun with these.

    Args:
        recipe: as it is asked for.
        begun: what its run was begun with.
    """
    changed = {}
    for section, defaults in _FORMER_DEFAULTS.items():
        asked, was = getattr(recipe, section), getattr(begun, section)
        unnamed = defaults.keys() - asked.model_fields_set
        if kept := {key: defaults[key] for key in unnamed if getattr(was, key) == defaults[key]}:
            changed[section] = asked.model_copy(update=kept)
    return recipe.model_copy(update=changed)
