"""Each check finds what was planted, says where and what to do, and is silent on the clean counterpart."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from ner_dist.doctor.examine import examine
from ner_dist.doctor.findings import SHOWN
from ner_dist.recipe import Recipe
from ner_dist.recipe_data import Data
from tests.doctor.made import clean, diagnosis, of

TRAIN, TEST = clean(120), clean(40, start=200)
PLAIN = "Mr Anna Berg900 sees the old town of York on day 900 ."
TAGS = "O B-PER I-PER O O O O O B-LOC O O O O"

WARNS = ("warning", "train")
# Sentences that are added to train and to test, the check that finds them, its severity and its split.
FAULTS = {
    "stray I-": ([(PLAIN, TAGS.replace("B-LOC", "I-LOC"))], [], "invalid_transitions", "warning", "train"),
    "most entities stray": (
        [(f"Nanna{i} goes", "I-LOC O") for i in range(40)],
        [],
        "invalid_transitions",
        "error",
        "train",
    ),
    "type alike": ([(PLAIN, TAGS.replace("B-LOC", "B-loc"))], [], "types_alike", "error", "train and test"),
    "slash": ([(PLAIN, TAGS.replace("LOC", "A/B"))], [], "type_names", "info", "train and test"),
    "rare type": ([(PLAIN, TAGS.replace("LOC", "RARE"))], [], "rare_types", "warning", "train"),
    "type in test alone": ([], [(PLAIN, TAGS.replace("LOC", "NEW"))], "types_not_in_train", "error", "test"),
    "repeat": ([TRAIN[3]], [], "repeats", "info", "train"),
    "repeat with other tags": (
        [(TRAIN[3][0], TRAIN[3][1].replace("B-LOC", "O"))],
        [],
        "repeats_with_other_tags",
        "warning",
        "train",
    ),
    "test in train": ([], [TRAIN[3]], "repeats_across_splits", "error", "test and train"),
    "other tags in test": (
        [],
        [(TRAIN[3][0], TRAIN[3][1].replace("B-LOC", "O"))],
        "repeats_with_other_tags",
        "warning",
        "test and train",
    ),
    "nearly the same": (
        [(f"{PLAIN[:-1]}and then he went home to his own people in the hills .", f"{TAGS[:-1]}{'O ' * 12}O")],
        [(f"{PLAIN[:-1]}and then he went home to his own people in the woods .", f"{TAGS[:-1]}{'O ' * 12}O")],
        "near_repeats_across_splits",
        "warning",
        "test and train",
    ),
    "unusual type": (
        [(f"{PLAIN} {i}", TAGS.replace("LOC", "PER") + " O") for i in range(4)]
        + [(f"York lies here {i}", "B-LOC O O O") for i in range(9)],
        [],
        "unusual_type",
        "warning",
        "train",
    ),
    "ambiguous": (
        [(f"Bath is {i}", f"B-{'PER' if i % 2 else 'LOC'} O O") for i in range(6)],
        [],
        "ambiguous_surfaces",
        "info",
        "train",
    ),
    "boundary": (
        [(f"South Pole {i}", "B-LOC I-LOC O") for i in range(20)]
        + [(f"The South Pole {i}", "O O B-LOC O") for i in range(4)],
        [],
        "boundaries",
        "warning",
        "train",
    ),
    "comma": ([(f"In Bonn , {i}", "O B-LOC I-LOC O") for i in range(5)], [], "punctuation", *WARNS),
    "quote": ([(f'In " Bonn {i}', "O B-LOC I-LOC O") for i in range(5)], [], "punctuation", *WARNS),
    "zero-width space": ([("In Bo\u200bnn .", "O B-LOC O")], [], "control_characters", "warning", "train"),
    "no-break space": ([("In Bonn\u00a0city .", "O B-LOC O")], [], "control_characters", "warning", "train"),
    "lost letters": ([("In K\ufffdln .", "O B-LOC O")], [], "lost_characters", "error", "train"),
    "lower-cased test": (
        [],
        [(words.lower(), tags) for words, tags in clean(80, start=300)],
        "casing_shift",
        "warning",
        "test and train",
    ),
    "other script": (
        [],
        [("Он живёт в городе Москва", "O O O O B-LOC")] * 1
        + [(f"Анна Каренина живёт в городе Москва {i}", "B-PER I-PER O O O B-LOC O") for i in range(60)],
        "script_shift",
        "warning",
        "test and train",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(tmp_path, name):
    train, test, check, severity, split = FAULTS[name]
    before = diagnosis(tmp_path / "clean", train=TRAIN, test=TEST)
    assert not of(before, check)
    found = of(diagnosis(tmp_path / "faulty", train=[*TRAIN, *train], test=[*TEST, *test]), check)
    assert [(each.severity, each.split) for each in found if each.split == split] == [(severity, split)]
    (finding,) = [each for each in found if each.split == split]
    assert finding.what and finding.effect and finding.remedy and finding.count > 0
    if check not in ("types_alike", "type_names"):
        assert 0 < len(finding.examples) <= SHOWN
        assert ".jsonl:" in finding.examples[0].where and finding.examples[0].text


@pytest.mark.parametrize(
    "name, settings",
    [
        ("stray I-", {"repair": "begin"}),
        ("test in train", {"drop_test_sentences_from_train": True}),
        ("repeat", {"deduplicate": True}),
    ],
)
def test_what_a_key_handles_is_info(tmp_path, name, settings):
    """The remedy that a finding names is one that works."""
    train, test, check, _, split = FAULTS[name]
    faulty = {"train": [*TRAIN, *train], "test": [*TEST, *test]}
    (finding,) = of(diagnosis(tmp_path / "2", settings=settings, **faulty), check)
    assert finding.severity == "info" and finding.remedy.startswith("handled: ")
    undone = {key: "none" if key == "repair" else False for key in settings}
    (finding,) = of(diagnosis(tmp_path / "1", settings=undone, **faulty), check)
    key, value = next(iter(settings.items()))
    assert finding.severity != "info" and f"data.{key}={str(value).lower()}" in finding.remedy
    assert finding.split == split


NONE = {"label_names": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-NONE", "I-NONE"]}
FEW = [(PLAIN, TAGS.replace("LOC", "NO"))]


@pytest.mark.parametrize(
    "check, train, test, settings, named",
    [
        ("types_not_in_train", TRAIN, [*TEST, *FAULTS["type in test alone"][1]], {}, "NEW (1)"),
        ("empty_types", TRAIN, TEST, NONE, "NONE"),
        ("rare_types", [*TRAIN, *FEW], TEST, {}, "NO (1)"),
        ("types_not_in_train", [*TRAIN, *FEW], [*TEST, *FAULTS["type in test alone"][1]], {}, "NEW (1)"),
    ],
)
def test_labels_of_the_remedy_handle_types(tmp_path, check, train, test, settings, named):
    """The finding is of severity `info` with the labels that it names, which a recipe takes as they are."""
    splits = {"train": train, "test": test, "settings": settings}
    (finding,) = of(diagnosis(tmp_path / "before", **splits), check)
    assert finding.severity != "info" and named in finding.what
    (labels,) = re.findall(r"labels: \[.*?\]", finding.remedy)
    after = diagnosis(tmp_path / "after", labels=yaml.safe_load(labels)["labels"], **splits)
    (finding,) = of(after, check)
    assert finding.severity == "info" and finding.remedy.startswith("handled: ") and named in finding.what


def test_lower_cased_text_is_found_without_another_split(tmp_path):
    lowered = [(words.lower(), tags) for words, tags in TRAIN]
    (finding,) = of(diagnosis(tmp_path / "lower", train=lowered), "lower_cased")
    assert finding.severity == "warning" and "model.name" in finding.remedy
    assert not of(diagnosis(tmp_path / "cased", train=TRAIN), "lower_cased")


def test_another_language_in_one_script_is_found(tmp_path):
    german = [
        (f"Herr Anna Berg{i} besucht heute die schöne alte Stadt Bonn", "O B-PER I-PER O O O O O O B-LOC")
        for i in range(80)
    ]
    found = diagnosis(tmp_path, train=TRAIN, test=german)
    (finding,) = of(found, "language_shift")
    assert finding.split == "test and train" and not of(found, "script_shift")
    assert not of(diagnosis(tmp_path / "same", train=TRAIN, test=TEST), "language_shift")


def test_schemes_of_splits_are_named(tmp_path):
    ends = [(words, tags.replace("I-PER", "E-PER").replace("B-LOC", "S-LOC")) for words, tags in TEST]
    (finding,) = of(diagnosis(tmp_path, train=TRAIN, test=ends), "schemes_differ")
    assert "train IOB2, test IOBES" in finding.what
    assert not of(diagnosis(tmp_path / "same", train=TRAIN, test=TEST), "schemes_differ")


def test_tags_without_parts_are_named(tmp_path):
    bare = [(words, tags.replace("B-", "").replace("I-", "")) for words, tags in TRAIN]
    (finding,) = of(diagnosis(tmp_path, train=bare), "tags_without_parts")
    assert finding.count == 240


def test_types_that_all_occur_are_not_called_empty(tmp_path):
    assert not of(diagnosis(tmp_path, train=TRAIN), "empty_types")


def test_entity_inside_two_longer_ones_is_counted_once(tmp_path):
    whole = [(f"{name} {i}", "B-LOC I-LOC O") for name in ("Old York", "York Minster") for i in range(20)]
    (finding,) = of(
        diagnosis(tmp_path, train=[*TRAIN, *whole, ("The Old York Minster burns", "O O B-LOC O O")]),
        "boundaries",
    )
    assert finding.count == 1 and "`Old York`, `York Minster`" in finding.what


def test_near_repeats_within_a_split(tmp_path):
    words = "Mr Anna Berg sees the old town of York and then he went home to his own people in the"
    tags = "O B-PER I-PER O O O O O B-LOC" + " O" * 12
    twins = [(f"{words} {last}", tags) for last in ("hills", "woods")]
    (finding,) = of(diagnosis(tmp_path, train=[*TRAIN, *twins]), "near_repeats")
    assert finding.count == 1 and "train.jsonl:121 and" in finding.examples[0].where


def test_near_repeats_of_a_large_template_are_all_counted(tmp_path):
    words = "Mr Anna Berg sees the old town of York and then he went home to his own people in the"
    made = [(f"{words} w{i}", "O B-PER I-PER O O O O O B-LOC" + " O" * 12) for i in range(300)]
    found = diagnosis(tmp_path, train=made[:200], test=made[200:])
    assert {each.split: each.count for each in of(found, "near_repeats")} == {"train": 199, "test": 99}
    (across,) = of(found, "near_repeats_across_splits")
    assert across.split == "test and train" and across.count == 100


def test_pairs_of_marks_and_abbreviations_are_no_loose_punctuation(tmp_path):
    names = ['" The Wall "', "( Bonn )", "Acme Inc .", "Yahoo !", "Jones ' s", "«Bonn»"]
    made = [(f"In {name} {i}", f"O B-LOC{' I-LOC' * name.count(' ')} O") for i, name in enumerate(names)]
    assert not of(diagnosis(tmp_path, train=[*TRAIN, *made]), "punctuation")


def test_joiners_of_other_scripts_are_no_control_characters(tmp_path):
    made = [("می\u200cخواهم Bonn", "O B-LOC"), ("👨\u200d👩 Bonn", "O B-LOC")]
    assert not of(diagnosis(tmp_path, train=[*TRAIN, *made]), "control_characters")


def test_generated_corpus_has_nothing_above_info(tmp_path):
    found = examine(Recipe(name="x", output_dir="x", data=Data(path="synthetic")), with_encoder=False)
    assert {finding.severity for finding in found.findings} <= {"info"}
    assert not found.must_be_fixed


def real(name: str, **settings):
    folder = Path(os.environ.get("NER_DIST_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / name).exists():
        pytest.skip(f"there is no {folder / name}")
    return examine(
        Recipe(name="x", output_dir="x", data=Data(path=str(folder / name), **settings)), with_encoder=False
    )


@pytest.mark.real_data
def test_wikineural_has_the_stray_tags_of_its_readme():
    found = of(real("wikineural_en_resplit"), "invalid_transitions")
    assert {each.split: each.count for each in found} == {"train": 439, "validation": 240, "test": 319}


@pytest.mark.real_data
def test_multiconer_is_lower_cased_and_has_a_slash():
    found = real("multiconer_v2_en")
    assert [each.split for each in of(found, "lower_cased")] == ["train", "validation", "test"]
    (finding,) = of(found, "type_names")
    assert "Medication/Vaccine" in finding.what
    assert not of(found, "repeats") and not of(found, "repeats_across_splits")


@pytest.mark.real_data
def test_crossner_has_the_repeats_and_few_examples_of_its_readme():
    found = real("crossner_science")
    assert {each.split: each.count for each in of(found, "repeats")} == {
        "train": 1,
        "validation": 4,
        "test": 11,
    }
    across = {each.split: each.what for each in of(found, "repeats_across_splits")}
    for pair, distinct in (("validation and train", 4), ("test and train", 1), ("test and validation", 11)):
        assert f"{distinct} distinct" in across[pair]
    (finding,) = of(found, "rare_types")
    assert "theory (8), country (9)" in finding.what


@pytest.mark.real_data
def test_multinerd_predictions_repeat_nearly_every_sentence():
    """There are no words: the sequences of gold tags take their place."""
    settings = {"splits": {"validation": None, "test": None}, "tokens_column": "gold", "tags_column": "gold"}
    found = real("multinerd_predictions/model_A.jsonl.gz", **settings)
    (finding,) = of(found, "repeats")
    assert finding.count == 32_864 - 9_723
    assert found.splits["train"].types["BIO"] == 16 and found.splits["train"].entities == 51_247
