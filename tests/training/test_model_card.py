"""The model card describes the model, and its examples, run as printed, give the scored tags."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from ner_dist.comparison.compare import compare
from ner_dist.data.encoding import Encoded
from ner_dist.evaluation.figures import LenientFigures, LenientScores, RepeatsFigures, SplitFigures
from ner_dist.evaluation.metrics import PrecisionRecallF1, TypeScores
from ner_dist.labels import LabelSet
from ner_dist.run.directory import Run
from ner_dist.training.card_examples import try_examples
from ner_dist.training.card_figures import RESAMPLES, ScoredSplit
from ner_dist.training.card_metadata import eval_results
from ner_dist.training.model_card import model_card, write_card
from ner_dist.training.results import Environment, RunResults, TrainFigures, TriedExamples
from ner_dist.yaml_text import flow
from tests import small
from tests.encoders import make_encoder

LABELS = LabelSet.from_types(["PER", "ORG"])
FIGURES = SplitFigures(
    loss=0.03,
    precision=0.12345,
    recall=0.5,
    f1=0.2,
    accuracy=0.99,
    macro=PrecisionRecallF1(0.1, 0.1, 0.1),
    per_type={"PER": TypeScores(0.1, 0.1, 0.1, 900), "ORG": TypeScores(0.1, 0.1, 0.1, 410)},
    scheme="strict IOB2",
    lenient=LenientScores(0.1, 0.1, 0.1, PrecisionRecallF1(0.1, 0.1, 0.1), {}, "lenient"),
    sentences=1200,
    words=30_000,
    words_per_second=1.0,
)
TRIED = TriedExamples(
    split="test",
    sentences=100,
    words=1234,
    words_as_scored=1234,
    entities=310,
    entities_found=310,
    entities_beside=0,
    longest=512,
    stride=64,
    precision="fp32",
    without_subwords=0,
)


LINES = [
    {"tokens": ["Anna", "Berg", "visits", "CERN"], "gold": ["B-PER", "I-PER", "O", "B-ORG"]},
    {"tokens": ["Anna", "Berg", "slept"], "gold": ["B-PER", "I-PER", "O"]},
    {"tokens": ["Bo", "met", "a|b"], "gold": ["B-PER", "O", "B-ORG"]},
    {"tokens": ["Mistaken", "slept"], "gold": ["B-PER", None]},
]


def scored_split(folder, name, figures):
    """A split whose last sentence was tagged wrongly."""
    lines = [line | {"predicted": line["gold"]} for line in LINES[:-1]]
    lines.append(LINES[-1] | {"predicted": ["B-ORG", "O"]})
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ScoredSplit.read(name, figures, path, types=list(LABELS.types), seed=13)


def card(folder, *overrides, data=None, **results):
    train = TrainFigures(0.1, "mean", 10, 1, 1024, 5e-5, 10, 1.0)
    environment = Environment("one process", 1, "fp32")
    results = RunResults(2, "tiny", list(LABELS.types), train, data or {}, environment, **results)
    scored = [scored_split(folder, name, figures) for name, figures in results.scored().items()]
    return model_card(small.recipe(folder, *overrides), LABELS.types, results, scored)


def section(text, heading):
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_card_says_what_the_model_is_and_how_well_it_does(tmp_path):
    text = card(tmp_path, test=FIGURES)
    data = ModelCard(text).data
    assert data.pipeline_tag == "token-classification" and data.library_name == "transformers"
    assert "# tiny\n" in text and "A small encoder, trained from random weights by ner_dist " in text
    results = section(text, "Results")
    assert "| F1 | 0.2000 | " in results and "| loss | 0.0300 | |" in results and "validation" not in results
    assert "| sentences | 1,200 | |" in results and "| entities | 1,310 | |" in results
    assert "strict IOB2. Intervals (95 %) are percentiles of the bootstrap: sentences were drawn" in results
    assert "there was one training, with seed 13." in results


def test_intervals_are_those_of_a_comparison(tmp_path):
    split = scored_split(tmp_path, "test", FIGURES)
    other = tmp_path / "other.jsonl"
    other.write_text((tmp_path / "test.jsonl").read_text())
    compared = compare(tmp_path / "test.jsonl", other, out=tmp_path / "both", resamples=RESAMPLES)
    assert split.uncertainty.models["A"] == compared.uncertainty.models["A"]
    assert 0 <= split.uncertainty.models["A"].micro.f1.low < split.uncertainty.models["A"].micro.f1.value


def test_examples_are_what_was_found_and_only_of_data_that_anybody_can_have(tmp_path):
    found = section(card(tmp_path, test=FIGURES), "What it finds")
    assert "| `PER` | `Anna Berg`, `Bo` | 900 | 0.1000 |" in found
    assert "| `ORG` | `CERN`, `a\\|b` | 410 | 0.1000 |" in found and "Mistaken" not in found
    text = card(tmp_path, f"data.path={tmp_path}", test=FIGURES)
    assert "| `PER` | 900 | 0.1000 |" in text and "examples" not in section(text, "What it finds")
    # The examples of use greet an Anna too.
    assert "CERN" not in text and "`Bo`" not in text


MARKUP = "d`` <img src=x onerror=alert(1)> </code>[x](javascript:alert(1)) **b** |\n# heading\n\x1b[31m\u202e"


def test_what_is_from_outside_is_no_markup(tmp_path):
    """Types, names and words are read by a reader of Markdown as the text that they are."""
    from markdown_it import MarkdownIt

    (tmp_path / "news").mkdir()
    plain = f"data.path={tmp_path / 'news'}"
    where = [f"data.path={flow(str(tmp_path) + '/' + MARKUP)}", f"data.language={flow(MARKUP)}"]
    where.append(f"model.name={flow('./' + MARKUP)}")
    few = replace(FIGURES, per_type={name: TypeScores(0.1, 0.1, 0.1, 9) for name in ("PER", "ORG")})

    def tags(text: str) -> Counter[str]:
        body = text.split("\n---\n", 1)[1]
        assert "\x1b" not in text and "\u202e" not in text
        return Counter(re.findall(r"<(?!/)(?!code)[^>]+>", MarkdownIt().enable("table").render(body)))

    recipe = small.recipe(tmp_path, plain, "data.language=xx", "model.name=./base")
    results = RunResults(
        *(2, "tiny", list(LABELS.types), TrainFigures(0.1, "mean", 10, 1, 1024, 5e-5, 10, 1.0), {}),
        environment=Environment("one process", 1, "fp32"),
        test=few,
    )
    split = scored_split(tmp_path, "test", few)
    odd = replace(split, examples={name: [MARKUP] * 2 for name in ("PER", "ORG")})
    types = [f"T{place}{MARKUP}" for place in range(2)]
    sound = tags(model_card(recipe, LABELS.types, results, [split]))
    assert sound["<h1>"] == 1 and "<img>" not in sound
    hostile = small.recipe(tmp_path, *where)
    assert tags(model_card(hostile, types, results, [odd])) == sound
    listed = model_card(hostile, types)
    assert tags(listed) == tags(model_card(recipe, LABELS.types))
    assert "<img" not in listed


def test_the_card_says_which_sentences_repeat(tmp_path):
    counts = {"train_sentences": 5000, "test_sentences": 1200, "test_in_train": 4, "test_duplicates": 2}
    lines = section(card(tmp_path, test=FIGURES, data=counts), "Data")
    assert "- train: 5,000 sentences.\n" in lines
    assert "- test: 1,200 sentences; 2 repeated sentences left out; 4 sentences also in train." in lines
    kept = section(card(tmp_path, "data.deduplicate=false", test=FIGURES, data=counts), "Data")
    assert "2 repeated sentences kept;" in kept
    whole = RepeatsFigures(0.5, 0.5, 0.4321, "", 0.9, LenientFigures(0.1, 0.1, 0.1, ""), 1202, 30_100)
    text = card(tmp_path, test=replace(FIGURES, with_repeats=whole))
    assert "With the repeats that were left out, test has 1,202 sentences and F1 0.4321." in text


def test_limits_name_types_with_few_entities_and_types_that_were_left_out(tmp_path):
    few = replace(FIGURES, per_type=FIGURES.per_type | {"ORG": TypeScores(0.1, 0.1, 0.1, 29)})
    limits = section(card(tmp_path, "labels=[PER, ORG]", test=few), "Limits")
    assert "Under 30 entities in test, of which a few decide the scores: `ORG`." in limits
    assert "The data has more types: their entities were trained and scored as `O`." in limits
    limits = section(card(tmp_path, test=FIGURES), "Limits")
    assert "Under 30" not in limits and "more types" not in limits


def test_a_card_before_the_figures_has_no_table_and_claims_nothing(tmp_path):
    text = model_card(small.recipe(tmp_path), LABELS.types)
    assert "| type |" not in text and 'pipeline("token-classification"' in text
    assert "were scored" not in text and "It has not been scored." in text
    assert ModelCard(text).data.eval_results is None


def test_no_place_on_this_machine_is_on_the_card(tmp_path, monkeypatch):
    (tmp_path / "base" / "model").mkdir(parents=True)
    (tmp_path / "news.conll").touch()
    places = f"model.name={tmp_path / 'base' / 'model'}", f"data.path={tmp_path / 'news.conll'}"
    text = card(tmp_path, *places, test=FIGURES)
    assert "`base`, fine-tuned by" in text and " on `news.conll` to find" in text
    assert str(tmp_path) not in text
    assert ModelCard(text).data.base_model is None and ModelCard(text).data.datasets is None
    monkeypatch.chdir(tmp_path / "base")
    text = card(tmp_path, "model.name=./model", "data.path=.")
    assert "`base`, fine-tuned" in text and "on `base` to" in text
    # Gone since, and still no place to tell of.
    assert "on `x` to" in card(tmp_path, "data.path=/gone/x")
    # The name of a home folder is a user's.
    monkeypatch.setenv("HOME", str(tmp_path / "base"))
    assert "on `local` to" in card(tmp_path, f"data.path={tmp_path / 'base'}")


def test_names_of_the_hub_are_links_and_metadata(tmp_path):
    text = card(
        tmp_path, "model.name=FacebookAI/roberta-base", "data.path=Babelscape/multinerd", test=FIGURES
    )
    assert "[`FacebookAI/roberta-base`](https://huggingface.co/FacebookAI/roberta-base), fine-tuned" in text
    assert "on [`Babelscape/multinerd`](https://huggingface.co/datasets/Babelscape/multinerd) to" in text
    data = ModelCard(text).data
    assert (data.base_model, data.datasets) == ("FacebookAI/roberta-base", ["Babelscape/multinerd"])
    scores = {each.metric_type: each for each in data.eval_results}
    assert scores["f1"].metric_value == 0.2 and scores["f1"].metric_name == "F1, strict IOB2"
    assert (scores["f1"].dataset_type, scores["f1"].dataset_split) == ("Babelscape/multinerd", "test")
    assert scores["accuracy"].metric_value == 0.99 and scores["precision"].metric_value == 0.1235


@pytest.mark.parametrize(
    ("overrides", "licence", "languages", "says"),
    [
        (
            ["data.path=Babelscape/multinerd"],
            "cc-by-nc-sa-4.0",
            10,
            "CC BY-NC-SA 4.0, which is the licence of",
        ),
        (["data.path=Babelscape/multinerd", "data.language=de"], "cc-by-nc-sa-4.0", ["de"], "CC BY-NC-SA"),
        # A copy has the licence of what it was copied from.
        (["data.path=/data/MultiNERD_en"], "cc-by-nc-sa-4.0", 10, "CC BY-NC-SA 4.0"),
        ([], "apache-2.0", ["en"], "Apache 2.0"),
        (
            ["data.path=some/data"],
            None,
            None,
            "None is claimed, since ner_dist does not know that of the data",
        ),
        (
            ["data.path=null", "data.sources=[{path: Babelscape/wikineural}, {path: some/data}]"],
            None,
            9,
            "None is claimed",
        ),
    ],
)
def test_the_licence_is_that_of_the_data_or_none(tmp_path, overrides, licence, languages, says):
    text = card(tmp_path, *overrides, test=FIGURES)
    data = ModelCard(text).data
    assert data.license == licence and says in section(text, "Licence")
    assert len(data.language) == languages if isinstance(languages, int) else data.language == languages


def test_results_for_leaderboards_are_of_whole_data_sets_of_the_hub(tmp_path):
    train = TrainFigures(0.1, "mean", 10, 1, 1024, 5e-5, 10, 1.0)
    whole = RepeatsFigures(0.5, 0.5, 0.4321, "", 0.9, LenientFigures(0.1, 0.1, 0.1, ""), 1202, 30_100)
    figures = replace(FIGURES, with_repeats=whole)
    results = RunResults(2, "tiny", ["PER"], train, {}, Environment("", 1, "fp32"), test=figures)

    def of(*overrides):
        recipe = small.recipe(tmp_path, "data.path=Babelscape/multinerd", *overrides)
        return eval_results(recipe, results)

    (entry,) = parse_eval_result_entries(of("data.language=en")["multinerd"])
    assert (entry.dataset_id, entry.task_id, entry.value) == ("Babelscape/multinerd", "en", 0.4321)
    assert of("labels=[PER]") == {} and of(f"data.path={tmp_path}") == {} and of("data.path=synthetic") == {}
    assert of("data.split.test=0.1") == {} and of("data.corrections=a.jsonl") == {}


@pytest.mark.parametrize(
    ("tried", "says"),
    [
        ({}, "These are the tags that were scored, for all 1,234 words of the first 100 sentences of test."),
        ({}, "Sentences of more than 512 subwords were scored in overlapping windows, as `ner-dist"),
        ({}, 'aggregation_strategy="first", stride=64)'),
        (
            {},
            "of test, joined by spaces, it finds exactly the 310 entities that were scored.",
        ),
        (
            {"words_as_scored": 1230, "precision": "bf16"},
            "for 1,230 of the 1,234 words of the first 100 sentences of test; scoring computed in bf16.",
        ),
        (
            {"entities_found": 290, "entities_beside": 3},
            "finds 290 of the 310 entities that were scored, and 3 beside",
        ),
        ({"entities_beside": 1}, "it finds 310 of the 310 entities that were scored, and 1 "),
        ({"without_subwords": 2}, "Words without subwords belong to an entity that continues after them"),
        ({"stride": None}, 'aggregation_strategy="first")'),
    ],
)
def test_the_card_says_how_far_its_examples_give_what_was_scored(tmp_path, tried, says):
    assert says in card(tmp_path, test=FIGURES, examples=replace(TRIED, **tried))


def test_the_folder_of_a_model_trained_on_the_hubs_data_has_its_results_for_leaderboards(tmp_path):
    run = Run(tmp_path / "run")
    run.predictions("test").parent.mkdir(parents=True)
    run.model.mkdir()
    scored_split(tmp_path, "test", FIGURES)
    (tmp_path / "test.jsonl").rename(run.predictions("test"))
    train = TrainFigures(0.1, "mean", 10, 1, 1024, 5e-5, 10, 1.0)
    results = RunResults(2, "tiny", [*LABELS.types], train, {}, Environment("", 1, "fp32"), test=FIGURES)
    recipe = small.recipe(tmp_path, "data.path=Babelscape/multinerd", "data.language=en")
    write_card(run, recipe, LABELS.types, results)
    written = yaml.safe_load((run.model / ".eval_results" / "multinerd.yaml").read_text())
    assert [entry.value for entry in parse_eval_result_entries(written)] == [0.2]
    assert ModelCard.load(run.model / "README.md").data.license == "cc-by-nc-sa-4.0"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was trained long enough to predict entities."""
    overrides = ["train.max_steps=60", "train.learning_rate=5e-3", "data.max_length=32"]
    return small.train(small.recipe(tmp_path_factory.mktemp("card"), *overrides))


def blocks(run):
    text = (run / "model" / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


def executed(code, run, *, words=None):
    """The names that an example defines, run as printed but for the folder and, if given, the words."""
    code = code.replace("path/to/this/folder", str(run / "model"))
    if words is not None:
        printed = '["Anna", "Berg", "visits", "York", "."]'
        assert printed in code
        code = code.replace(printed, repr(words))
    names: dict = {}
    exec(code, names)
    return names


def short_lines(run, tokenizer):
    """The predictions for sentences that scoring did not cut."""
    lines = [json.loads(line) for line in (run / "predictions" / "test.jsonl").open()]
    lengths = [len(tokenizer(line["tokens"], is_split_into_words=True).input_ids) for line in lines]
    return [line for line, length in zip(lines, lengths, strict=True) if length <= 32]


def test_the_example_for_words_gives_the_tags_that_were_scored(run):
    _, example, _ = blocks(run)
    names = executed(example, run)
    assert len(names["tags"]) == 5
    tried = json.loads((run / "results.json").read_text())["examples"]
    assert tried["words"] == tried["words_as_scored"] > 300 and tried["longest"] == 32
    lines = short_lines(run, names["tokenizer"])
    assert tried["sentences"] == min(len(lines), 100) > 30
    assert any(tag.startswith("I-") for line in lines for tag in line["predicted"])
    for line in lines[:40]:
        assert executed(example, run, words=line["tokens"])["tags"] == line["predicted"]


def test_the_example_of_ner_dist_gives_the_tags_that_were_scored(run):
    example, _, _ = blocks(run)
    tagger = executed(example, run)["tagger"]
    lines = short_lines(run, tagger.tokenizer)
    assert tagger.tags([line["tokens"] for line in lines]) == [line["predicted"] for line in lines]


def test_the_example_for_text_gives_the_entities_that_the_card_says(run):
    _, _, example = blocks(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = executed(example, run)
    assert isinstance(names["entities"], list)
    scored, found = set(), set()
    for i, line in enumerate(short_lines(run, names["tag"].tokenizer)):
        at = 0
        for token, tag in zip(line["tokens"], line["predicted"], strict=True):
            if tag.startswith("B-"):
                scored.add((i, tag[2:], at))
            at += len(token) + 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = names["tag"](" ".join(line["tokens"]))
        found |= {(i, each["entity_group"], each["start"]) for each in given}
    tried = json.loads((run / "results.json").read_text())["examples"]
    assert len(scored) == tried["entities"] > 30
    # By their first characters alone here: ends may differ beside.
    assert tried["entities_found"] <= len(scored & found)
    assert len(found) == tried["entities_found"] + tried["entities_beside"]


def test_the_saved_model_says_nothing_of_this_machine(tmp_path):
    base = make_encoder("roberta", tmp_path / "secret" / "tiny-roberta")
    data = tmp_path / "secret" / "news.jsonl"
    rows = [{"tokens": ["Anna", "visits", "York"], "ner_tags": ["B-PER", "O", "B-LOC"]}] * 3
    rows += [
        {"tokens": ["Berg", "met", "Anna", str(i)], "ner_tags": ["B-PER", "O", "B-PER", "O"]}
        for i in range(9)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = [f"model.name={base}", f"data.path={data.parent}", "train.max_steps=1"]
    overrides += ["data.files={train: news.jsonl, validation: news.jsonl, test: news.jsonl}"]
    made = small.train(small.recipe(tmp_path, *overrides))
    for path in (made / "model").iterdir():
        # The last part of a path is what the card calls the data.
        content = path.read_bytes().replace(b"`secret`", b"").replace(b": secret\n", b"")
        assert b"secret" not in content, path
    text = (made / "model" / "README.md").read_text()
    assert "`tiny-roberta`, fine-tuned" in text and "Berg" not in section(text, "What it finds")


def test_examples_that_cannot_be_tried_are_said_to_and_end_nothing(tmp_path, log_lines):
    """There is no tokenizer in the folder."""
    encoded = Encoded(*(np.array(each) for each in ([4], [0, 1], [0], [0])))
    split = SimpleNamespace(encoded=encoded, n_sentences=1, offsets=[0, 1], tokens=lambda: [["Anna"]])
    settings = {"name": "test", "predicted": np.zeros(1, int), "labels": LABELS, "longest": 9, "overlap": 2}
    assert try_examples(torch.nn.Identity(), tmp_path, split=split, precision="fp32", **settings) is None
    assert log_lines[0].startswith(f"the examples of {tmp_path / 'README.md'} could not be tried: ")
