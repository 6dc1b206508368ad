"""The section `data` of a recipe: what to read, how to cut it into splits, and sources.

`recipe.py` has the other sections.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ner_dist.recipe_values import Place, Rate, Section, Sentences, Share, at_most

MAX_FILE_GB = 4.0
"""The default of `data.max_file_gb`, which also bounds files that no recipe names."""
LINE_SHARE = 64
"""A line of a data file may take this part of `data.max_file_gb`."""


class SourceSplits(Section):
    """Names of the splits in a source. null: take none of it."""

    train: str | None = "train"
    """Split to train on."""
    validation: str | None = "validation"
    """Split that selects the best weights."""
    test: str | None = "test"
    """Split to score at the end."""


class SplitNames(SourceSplits):
    """Names of the splits in the data. null: do not use this split."""

    train: str = "train"
    """Split to train on."""
    validation: str | None = "validation"
    """Split that selects the best weights. null: keep the weights of the last step."""
    test: str | None = "test"
    """Split to score at the end. null: score none."""


class Cut(Section):
    """Splits to cut from train if the data has none: whole documents where they are known, else sentences,
    of which copies stay together. A single file can be `path` then."""

    validation: Share | None = None
    """Fraction of the training sentences to cut off as validation. null: cut none."""
    test: Share | None = None
    """Fraction of the training sentences to cut off as test. null: cut none."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 13
    """Random seed of the cut, which is the same on any machine."""

    @model_validator(mode="after")
    def _leaves_something(self) -> Cut:
        if (self.validation or 0) + (self.test or 0) >= 1:
            raise ValueError("validation and test leave nothing of train; lower them")
        return self


class Synthetic(Section):
    """Size and seed of the built-in synthetic corpus (`data.path: synthetic`)."""

    seed: int = 0
    """Random seed of the corpus; another seed gives another corpus."""
    train: Sentences = 6000
    """Number of training sentences."""
    validation: Sentences = 800
    """Number of validation sentences."""
    test: Sentences = 1200
    """Number of test sentences."""


class Reading(Section):
    """A data set and how to read it."""

    path: Place
    """Data set name on the hub, a local folder (of files, or written by `save_to_disk`), a local file, or
    `synthetic`."""
    name: str | None = None
    """Configuration of a hub data set that has several."""
    revision: str | None = None
    """Branch, tag or commit of the data set on the hub. null: the newest."""
    splits: SourceSplits = SplitNames()
    """Names of the splits in the data."""
    files: dict[Literal["train", "validation", "test"], str] = Field(default={})
    """File of each split, relative to `path`, if the file names do not show which split they hold."""
    format: Literal["auto", "jsonl", "json", "parquet", "csv", "conll"] = "auto"
    """Format of local files. auto: decide by the file extension, else by the content."""
    language: str | None = None
    """Keep only sentences whose `language_column` has this value. null: keep all."""
    language_column: str = "lang"
    """Column that holds the language."""
    tokens_column: str | int = "tokens"
    """Column that holds the words. In CoNLL files: its number from 0, or its name if a header or
    `# global.columns` gives one. Default for CoNLL: the first column that does not number words or sentences;
    in CoNLL-U, FORM."""
    tags_column: str | int = "ner_tags"
    """Column that holds the tags. In CoNLL files: its number (-1 is the last), its name, or `MISC:NER` for an
    attribute in CoNLL-U's MISC column. Default for CoNLL: the last column, or the only one with tags."""
    document_column: str | int | None = None
    """Column that holds the document of each sentence, as text or a number. null: CoNLL files say it with
    `-DOCSTART-` or `# newdoc`, other files do not. Comparisons draw documents where they are known."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Separator of CoNLL columns: `tab`, `whitespace`, or any other text. null: tabs if lines contain tabs,
    otherwise whitespace."""
    sentence_column: str | None = None
    """Column of a CSV table with a row for each word that says which sentence the word is in. null: a column
    called `Sentence #`, `sentence_id` or the like, else empty rows separate sentences."""
    label_names: list[str] | None = None
    """Tag of each id, in order, if tags are stored as numbers and the data does not name them."""
    words: Annotated[str, Field(pattern=r"^(unicode|whitespace|spacy:[a-z]{2,3})$")] = "unicode"
    """How texts with character spans are cut into words: `unicode` (Unicode's word boundaries, for all
    languages), `whitespace`, or `spacy:` and a language, such as `spacy:de`, for spaCy's tokenizer."""
    sentences: Literal["lines", "unicode", "none"] = "lines"
    """How these texts are cut into sentences: at ends of lines, at Unicode's sentence boundaries, or not at
    all. A sentence that is too long for one input is read in windows."""
    misaligned: Literal["expand", "shrink", "error"] = "expand"
    """What to do with a span that begins or ends within a word: take in every word that it touches, only
    those that it covers, or stop. Each is listed."""
    overlapping: Literal["longest", "shortest", "error"] = "longest"
    """Which of overlapping or nested spans to keep, or stop. Each that is left out is listed."""
    offsets: Literal["characters", "utf16", "bytes"] = "characters"
    """What the starts and ends of spans count: characters (code points, as in Python), UTF-16 units (as in
    JavaScript and Java) or bytes of UTF-8."""
    repair: Literal["none", "begin"] = "none"
    """What to do with an I- tag that continues no entity, in data whose entities start with B-. `none`: keep
    it; strict scoring counts no entity there. `begin`: start an entity with it."""
    max_file_gb: Annotated[float, Field(gt=0)] = MAX_FILE_GB
    """Largest data file in GB, decompressed; a line may take a 64th of it. A larger one is refused before it
    fills the memory: reading a file takes several times its size."""
    corrections: Place | list[Place] | None = None
    """File of corrections that were accepted in the review page of `ner-dist doctor --folds`, or a list of
    such files, applied in their order. They are applied while the data is read, and the source is left as it
    is."""
    split: Cut = Cut()
    """Splits to cut from train if the data has none."""
    synthetic: Synthetic = Synthetic()
    """Size and seed of the corpus if `path` is `synthetic`."""


class Source(Reading):
    """One of several data sets to train and score on together."""

    splits: SourceSplits = SourceSplits()
    """Names of the splits to take from this source."""
    map: dict[str, str | None] = Field(default={})
    """Other names for entity types, such as `{person: PER, MISC: null}`. Types of the same name in several
    sources are one type. null: the type becomes `O`."""
    types: list[str] | None = None
    """Entity types that the source annotates, under their new names. On the others it says nothing: its `O`
    means `O` or one of those. null: the types that it names or that occur in it."""
    weight: Rate = 1.0
    """Weight of the source's words in the training loss. It changes neither the steps nor their order."""


class Data(Reading):
    """The data set and how to read it."""

    splits: SplitNames = SplitNames()
    """Names of the splits in the data."""
    sources: list[Source] = Field(default=[])
    """Several data sets in place of `path`. The keys of `data` that say how to read are keys of each then."""
    deduplicate: bool = True
    """Drop exact repeats of a sentence within a split."""
    drop_test_sentences_from_train: bool = False
    """Drop training sentences that also occur in validation or test. They are counted in any case."""
    resample: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Seed of a draw of the training sentences with replacement (whole documents where they are known): a
    training on another set like this one. null: train on each sentence once."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Longest input in subwords, special tokens included. null: the longest that the model accepts."""
    window_overlap: Annotated[int, Field(ge=0), at_most(10**12)] = 64
    """Number of subwords shared by neighbouring windows of a sentence that is too long for one input."""
    cache_dir: Place | None = None
    """Folder for prepared data. null: $NER_DIST_CACHE or ~/.cache/ner_dist."""

    @model_validator(mode="before")
    @classmethod
    def _name_sources(cls, values: Any) -> Any:
        """Give several sources a name for messages, in the place of the path."""
        if isinstance(values, dict) and values.get("sources") and not values.get("path"):
            return values | {"path": _joined_paths(values["sources"])}
        return values

    @model_validator(mode="after")
    def _reads_sources_alone(self) -> Data:
        if not self.sources:
            return self
        if self.path != _joined_paths(self.sources):
            raise ValueError("path and sources exclude each other; write the path in a source, or path: null")
        for key in Reading.model_fields:
            if (
                key not in ("path", "synthetic")
                and getattr(self, key) != type(self).model_fields[key].default
            ):
                raise ValueError(f"{key} says how to read one data set; write it in each of sources")
        return self

    @property
    def used_splits(self) -> list[str]:
        """The splits that the recipe uses: of several sources, those that any of them has."""
        readings: list[Reading] = [*self.sources] or [self]
        return [
            name
            for name in ("train", "validation", "test")
            if any(getattr(reading.splits, name) is not None for reading in readings)
        ]


def _joined_paths(sources: Any) -> str:
    """The paths of sources, or of what was written in their place."""
    named = [
        source.get("path") if isinstance(source, dict) else getattr(source, "path", None)
        for source in (sources if isinstance(sources, list) else [])
    ]
    return " + ".join(dict.fromkeys(str(name) for name in named if name)) or "sources"
