"""The recipe schema: every setting of a training, with its type, default and meaning.

The classes below are the keys of a recipe's YAML file, section by section; `recipe_file.py` reads them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from ner_dist.recipe_data import Data
from ner_dist.recipe_values import Fraction, Place, Positive, Rate, Section, at_most

Auto = Literal["auto"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Decode = Literal["greedy", "viterbi"]

SCRATCH = "scratch"
"""The `model.name` that trains an encoder from random weights."""
AUTO_KEYS = ("epochs", "batch_tokens", "learning_rate")
"""The keys of `train` that may be `auto`, because a good value depends on the data set."""
MOST_MICRO_BATCHES = 1_000_000
"""Of one step; the plan of an epoch is a table of them."""
SMALLEST_STEP = 1024
"""Padded subwords of the smallest step that `train.batch_tokens: auto` chooses."""


class ScratchModel(Section):
    """Shape of the RoBERTa model that `model.name: scratch` trains from random weights."""

    vocab_size: Annotated[int, Field(ge=300), at_most(10**7)] = 4000
    """Number of subwords in the byte-level BPE vocabulary, which is trained on the training split."""
    hidden_size: Positive = 128
    """Width of the hidden states; a multiple of `heads`."""
    layers: Annotated[int, Field(gt=0), at_most(1_000)] = 2
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
    """The encoder to fine-tune."""

    name: Place = "roberta-base"
    """Model name on the Hugging Face hub, a local folder, or `scratch` to train a small model from random
    weights."""
    revision: str | None = None
    """Branch, tag or commit of the model on the hub. null: the newest."""
    dropout: Fraction | None = None
    """Dropout rate of hidden states, attention and classifier. null: the model's own."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass. Saves memory and adds about a third to the compute."""
    compile: bool = False
    """Compile the encoder's layers with `torch.compile`. On a GPU this takes about a minute and then saves
    milliseconds of each step: worth it from about 10,000 steps. Not under ZeRO-3."""
    scratch: ScratchModel = ScratchModel()
    """Shape of the model if `name` is `scratch`."""


class Train(Section):
    """Optimisation settings, independent of the hardware.

    `auto` chooses from the number of subwords in the training split and the width of the encoder; see
    `training/auto.py` for the rule. The log, RUN/recipe.yaml and results.json show the chosen values.
    """

    epochs: Positive | Auto = "auto"
    """Number of passes over the training split, or `auto`."""
    max_steps: Positive | None = None
    """Number of steps to train, instead of `epochs`. The schedule spans these steps."""
    batch_tokens: Positive | Auto = "auto"
    """Padded subwords in one optimiser step, over all processes, or `auto`."""
    micro_batch_tokens: Positive = 2048
    """Padded subwords in one forward pass; never more than a step, and at most half of one if `batch_tokens`
    is `auto`. Lower it if GPU memory runs out."""
    packing: bool | Auto = "auto"
    """How sentences share a forward pass. true: one after the other in a row without padding, of all lengths.
    false: sentences of about one length, padded. auto: true for encoders that can take such rows. A run keeps
    what it was begun with."""
    learning_rate: Rate | Auto = "auto"
    """Peak learning rate of AdamW, reached at the end of warm-up, or `auto`."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Decay of the learning rate after warm-up: to zero in a line, to zero along half a cosine, or none."""
    warmup_ratio: Fraction = 0.1
    """Fraction of all steps used for warm-up, in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Weight decay of AdamW. Not applied to biases and layer norms."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Layer-wise learning rate decay: the factor from each layer to the one below it. 1: off."""
    adam_betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    """Decay rates of AdamW's running means of the gradient and of its square (beta1, beta2)."""
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Term added to AdamW's denominator for numerical stability."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Clip the gradient of a step to this norm. null: do not clip."""
    label_smoothing: Fraction = 0.0
    """Fraction of the target probability that is distributed evenly over all labels."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Weight of each entity type, or `O`, in the loss (default 1), or `balanced` for inverse frequency."""
    max_nonfinite_steps: Positive = 5
    """Stop with an error after this many consecutive steps whose loss or gradient is not finite."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 13
    """Random seed for the order of sentences, dropout and new weights."""
    deterministic: bool = False
    """Use only kernels that repeat bit for bit. On a GPU the fast ones do so up to a length of 128 subwords;
    these do so at any length, more slowly. CPUs repeat in any case."""

    @model_validator(mode="before")
    @classmethod
    def _no_pass_beyond_a_step(cls, values: Any) -> Any:
        """A recipe whose steps are smaller than those of the recipe it extends need not name the pass too."""
        if not isinstance(values, dict):
            return values
        default = cls.model_fields["micro_batch_tokens"].default
        step, one_pass = values.get("batch_tokens"), values.get("micro_batch_tokens", default)
        if type(step) is type(one_pass) is int and 0 < step < one_pass:
            return {**values, "micro_batch_tokens": step}
        return values

    @model_validator(mode="after")
    def _few_enough_micro_batches(self) -> Train:
        if self.batch_tokens != "auto" and self.micro_batches > MOST_MICRO_BATCHES:
            raise ValueError(
                f"batch_tokens make {self.micro_batches:,} micro-batches, and {MOST_MICRO_BATCHES:,} are "
                "planned at most; raise micro_batch_tokens or lower batch_tokens"
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
    packing: bool


class Evaluation(Section):
    """When and how to score the validation split during training."""

    every: Positive | Literal["auto", "epoch"] = "auto"
    """Steps between evaluations, `epoch`, or `auto`: every epoch, but at most 20 times in all."""
    early_stopping: Positive | None = None
    """Stop after this many evaluations without a higher F1. Weights with the same F1 and a lower loss are
    kept as the best, but do not count as an improvement here."""
    decode: Decode = "greedy"
    """How tags are chosen. `greedy`: the most probable tag of each word, as most tools do. `viterbi`: the
    most probable tags of a sentence in which no I- continues nothing. results.json has the F1 of both."""
    batch_tokens: Positive = 8192
    """Padded subwords in one forward pass of an evaluation. Affects speed only."""


class Checkpoint(Section):
    """When to save the training state."""

    every: Positive | Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}min$")] | None = 500
    """Steps between checkpoints, or minutes, such as `10min`. null: save only the best weights, so a killed
    run restarts from step 0."""
    keep_last: Positive = 2
    """Number of checkpoints to keep, in addition to the best weights."""

    @property
    def seconds(self) -> float | None:
        """Seconds between checkpoints, if `every` says minutes."""
        return 60.0 * int(self.every.removesuffix("min")) if isinstance(self.every, str) else None


class Logging(Section):
    """What to report during training."""

    every: Positive = 10
    """Steps between lines in the log and in metrics.jsonl."""
    trackers: list[Literal["tensorboard", "wandb", "mlflow", "trackio"]] = Field(default=[])
    """Trackers to send metrics to, e.g. `[tensorboard]`.
    `pip install 'ner_dist[tracking]'` installs all of them."""
    project: str = "ner_dist"
    """Project name in the trackers."""


class Recipe(Section):
    """All settings of one training run.

    Recipes are immutable. `load_recipe` reads one from a file, with overrides.

    Example:
        >>> import ner_dist
        >>> values = {"name": "mine", "output_dir": "runs/mine", "data": {"path": "synthetic"}}
        >>> recipe = ner_dist.Recipe.model_validate(values)
        >>> recipe.labels, recipe.train.schedule
        ('all', 'linear')
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]*[\w-][\w.-]*$")]
    """Name of the run: letters, digits, `_`, `.` and `-`, but not dots alone."""
    output_dir: Place
    """Folder to write the run to."""
    overwrite: bool = False
    """If `output_dir` holds the run of another recipe, move it to `<output_dir>.old-N` instead of
    refusing."""
    resume: Place = "auto"
    """`auto`: continue from the newest checkpoint in `output_dir`. `never`: move the existing run aside and
    start over. A checkpoint folder: start from it; if it belongs to this run, later checkpoints are set aside
    every time, so pass it once and then use `auto`."""
    model: Model = Model()
    """The encoder to fine-tune."""
    data: Data
    """The data set and how to read it."""
    labels: Literal["all"] | list[str] = "all"
    """Entity types to learn. All other types become `O`."""
    precision: Precision = "auto"
    """Number format to compute in. auto: decided by the launch config, else by the hardware."""
    train: Train = Train()
    """Optimisation settings, independent of the hardware."""
    evaluation: Evaluation = Evaluation()
    """When to score the validation split during training."""
    checkpoint: Checkpoint = Checkpoint()
    """When to save the training state."""
    logging: Logging = Logging()
    """What to report during training."""

    _other_data: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def numbers_of_other_data(self) -> dict[str, str]:
        """Keys of `train` whose value a recipe file chose for other data, with that data's `data.path`."""
        return self._other_data


class FixedRecipe(Recipe):
    """A recipe with a number for every `auto` in `train`."""

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
