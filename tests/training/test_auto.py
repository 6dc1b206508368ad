"""`auto`: its choices, the settings that it leaves alone, and warnings about too little training."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.packed_plan import PackedPlan
from ner_dist.errors import UserError
from ner_dist.recipe import SMALLEST_STEP, Recipe
from ner_dist.recipe_file import load_recipe
from ner_dist.training import auto
from ner_dist.training.checkpoint_files import CheckpointReader
from tests import small
from tests.conftest import REPOSITORY

AUTO = {"epochs": "auto", "batch_tokens": "auto", "learning_rate": "auto"}
ALL_AUTO = [f"train.{key}=auto" for key in AUTO]

subwords = st.integers(1, 10**10)
widths = st.sampled_from([32, 128, 256, 384, 768, 1024, 2560, 4096])


@pytest.fixture
def recipe(tmp_path):
    """A recipe for other data than it was written for, with these settings of training and overrides."""

    def recipe(train: dict, *overrides: str):
        path = tmp_path / "r.yaml"
        values = {"name": "r", "output_dir": "r", "data": {"path": "hub/theirs"}, "train": train}
        path.write_text(yaml.safe_dump(values))
        return load_recipe(path, overrides)

    return recipe


def steps(chosen: dict, subwords: int) -> int:
    return chosen["epochs"] * -(-subwords // chosen["batch_tokens"])


@given(subwords, widths)
def test_any_data_gets_enough_steps_and_every_sentence_is_seen_more_than_once(subwords, width):
    chosen = auto.choose(subwords=subwords, width=width)
    assert steps(chosen, subwords) >= auto.FEW_STEPS
    assert chosen["epochs"] >= 2
    assert chosen["batch_tokens"] in (1024, 2048, 4096, 8192)
    assert 0 < chosen["learning_rate"] <= 1e-3


@given(subwords, st.floats(1, 4), widths)
def test_more_data_takes_no_fewer_steps_no_smaller_ones_and_no_more_epochs(subwords, factor, width):
    less, more = (auto.choose(subwords=size, width=width) for size in (subwords, round(subwords * factor)))
    assert less["batch_tokens"] <= more["batch_tokens"]
    assert less["epochs"] >= more["epochs"]


@given(subwords)
def test_a_wider_encoder_takes_a_smaller_rate_and_the_same_steps(subwords):
    base, large = (auto.choose(subwords=subwords, width=width) for width in (768, 1024))
    assert large["learning_rate"] < base["learning_rate"]
    assert {**large, "learning_rate": None} == {**base, "learning_rate": None}


def test_the_rates_of_known_encoders_are_those_in_use():
    rates = [auto.choose(subwords=300_000, width=width)["learning_rate"] for width in (384, 768, 1024)]
    assert 2e-4 <= rates[0] <= 4e-4
    assert 4e-5 <= rates[1] <= 6e-5
    assert 1.5e-5 <= rates[2] <= 3e-5


def test_numbers_that_are_named_stay(recipe):
    settled = auto.settle(recipe({"epochs": 7}), subwords=20_000, width=768, family="roberta").train
    assert settled.epochs == 7
    assert settled.batch_tokens == SMALLEST_STEP
    whole = {"epochs": 2, "batch_tokens": 8192, "micro_batch_tokens": 8192, "learning_rate": 1e-5}
    settled = auto.settle(recipe(whole), subwords=20_000, width=768, family="roberta").train
    assert settled.model_dump(include=whole.keys()) == whole


@given(size=subwords, micro=st.integers(8, 20_000))
def test_a_chosen_step_has_two_micro_batches_that_hold_the_longest_example(size, micro):
    values = {"name": "r", "output_dir": "r", "data": {"path": "x"}, "train": {"micro_batch_tokens": micro}}
    asked = Recipe.model_validate(values)
    settled = auto.settle(asked, subwords=size, width=768, family="roberta").train
    assert settled.micro_batches >= 2
    assert settled.batch_tokens // settled.micro_batches >= asked.train.longest_example


class TestWarnings:
    def test_a_short_training_says_what_would_be_better_and_what_that_is(self, recipe):
        text = auto.too_few_steps(
            recipe({"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5}), 4, subwords=11_000, width=768
        )
        chosen = auto.choose(subwords=11_000, width=768)
        assert text == (
            f"4 optimiser steps are few for this data (auto would take {steps(chosen, 11_000):,}): the model "
            "may learn little; pass train.epochs=auto train.batch_tokens=auto train.learning_rate=auto "
            f"for train.epochs={chosen['epochs']}, train.batch_tokens=1024, train.learning_rate=5e-05"
        )

    def test_only_what_stands_in_the_way_is_to_be_changed(self, recipe):
        text = auto.too_few_steps(recipe({**AUTO, "max_steps": 20}), 20, subwords=11_000, width=768)
        assert text.endswith("may learn little; pass train.max_steps=null")

    def test_a_run_that_an_earlier_rule_chose_for_can_only_start_over(self, recipe):
        text = auto.too_few_steps(recipe(AUTO), 20, subwords=11_000, width=768)
        assert text.endswith(": the model may learn little; resume=never starts over")

    def test_auto_never_warns_of_itself(self, recipe):
        for size in (1, 700, 11_000, 70_000, 400_000, 5_000_000):
            chosen = auto.choose(subwords=size, width=768)
            assert auto.too_few_steps(recipe(AUTO), steps(chosen, size), subwords=size, width=768) is None

    def test_half_of_its_steps_are_enough_but_never_fewer_than_300(self, recipe):
        usual = steps(auto.choose(subwords=5_000_000, width=768), 5_000_000)

        def few(count, size):
            return auto.too_few_steps(recipe(AUTO), count, subwords=size, width=768) is not None

        assert (few(usual // 2 - 1, 5_000_000), few(-(-usual // 2), 5_000_000)) == (True, False)
        assert few(299, 10)

    def test_numbers_for_other_data_are_said(self, recipe):
        numbers = {"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5}
        assert auto.borrowed(recipe(numbers)) is None
        assert auto.borrowed(recipe(numbers, "data.path=copies/theirs")) is None
        text = auto.borrowed(recipe(numbers, "data.path=mine", "train.epochs=9"))
        assert text == (
            "train.batch_tokens=8192, train.learning_rate=5e-05: chosen for hub/theirs, not for mine; "
            "for your own data pass train.batch_tokens=auto train.learning_rate=auto"
        )
        assert auto.borrowed(recipe(numbers, "data.path=mine", *ALL_AUTO)) is None
        assert auto.borrowed(recipe(AUTO, "data.path=mine")) is None

    def test_a_recipe_that_extends_another_for_its_own_data_borrows_too(self, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text(f"extends: {REPOSITORY / 'recipes/full.yaml'}\nname: mine\ndata: {{path: mine}}\n")
        assert "chosen for Babelscape/multinerd" in auto.borrowed(load_recipe(path))
        path.write_text(path.read_text() + "train: {epochs: 3, batch_tokens: 2048, learning_rate: 1e-5}\n")
        assert auto.borrowed(load_recipe(path)) is None


class TestInARun:
    @pytest.fixture
    def tiny(self, tmp_path):
        return small.recipe(tmp_path, *ALL_AUTO, "train.max_steps=2")

    def test_the_numbers_are_in_log_recipe_and_results(self, tiny, log_lines):
        folder = small.train(tiny)
        written = yaml.safe_load((folder / "recipe.yaml").read_text())
        assert {key: written["train"][key] for key in AUTO} == AUTO
        chosen = written["provenance"]["auto"]
        assert chosen.keys() == AUTO.keys() | {"packing"}
        assert chosen.pop("packing") is True
        results = json.loads((folder / "results.json").read_text())["train"]
        assert {key: results[key] for key in AUTO} == chosen
        assert any(line.startswith(f"auto: train.epochs={chosen['epochs']}, ") for line in log_lines)
        assert any(line.startswith("2 optimiser steps are few") for line in log_lines)

    def test_a_run_keeps_its_numbers_when_the_rule_changes(self, tiny, tmp_path, monkeypatch):
        trainer = small.trainer(tiny)
        with trainer.open_metrics_log() as metrics_log:
            next(trainer.steps())
            trainer.save_checkpoint(metrics_log)
            trainer.checkpoints.wait()
        before = trainer.task.fixed.train
        assert CheckpointReader(trainer.checkpoints.steps()[-1]).state["auto"] == trainer.task.chosen
        monkeypatch.setattr(auto, "choose", lambda **_: {**before.model_dump(include=AUTO), "epochs": 99})
        assert small.trainer(tiny).task.fixed.train == before


@pytest.mark.parametrize("every, expected", [("auto", [7, 14, 20]), ("epoch", list(range(1, 21)))])
def test_short_epochs_are_not_all_scored(tmp_path, monkeypatch, every, expected):
    monkeypatch.setattr("ner_dist.training.trainer.MOST_EVALUATIONS", 3)
    trainer = small.trainer(
        small.recipe(
            tmp_path,
            "data.synthetic={train: 20, validation: 5, test: 5}",
            "train={max_steps: 20, batch_tokens: 2048, micro_batch_tokens: 256}",
            f"evaluation.every={every}",
        )
    )
    assert trainer.loop.steps_per_epoch == 1
    due = [step for step in range(1, 21) if trainer.evaluation_due(step)]
    assert due == expected

    def test_a_run_keeps_its_plan_when_the_rule_changes(self, tiny, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(auto, "packs", lambda *_: False)
            trainer = small.trainer(tiny)
            with trainer.open_metrics_log() as metrics_log:
                next(trainer.steps())
                trainer.save_checkpoint(metrics_log)
                trainer.checkpoints.wait()
        assert auto.packs(tiny, "roberta")
        resumed = small.trainer(tiny)
        assert resumed.task.fixed.train.packing is False
        assert not isinstance(resumed.loop.micro_batches.plan(0), PackedPlan)


class TestPacking:
    @pytest.fixture
    def packs(self, recipe):
        """Whether training an encoder of a family packs, by the recipe's `packing` and overrides."""

        def packs(family: str, *overrides: str, packing: bool | str = "auto") -> bool:
            asked = recipe({"packing": packing}, *overrides)
            return auto.settle(asked, subwords=20_000, width=768, family=family).train.packing

        return packs

    def test_auto_packs_for_encoders_that_can_unless_they_are_compiled(self, packs):
        assert packs("xlm-roberta")
        assert not packs("deberta-v2")
        assert not packs("roberta", "model.compile=true")
        assert packs("roberta", "model.compile=true", packing=True)
        assert not packs("roberta", packing=False)

    def test_an_encoder_that_cannot_is_an_error_with_the_way_out(self, packs):
        with pytest.raises(UserError, match="the family deberta-v2 cannot take packed rows") as error:
            packs("deberta-v2", packing=True)
        assert "train.packing=auto" in error.value.fix

    @pytest.mark.parametrize("earlier", [{}, {"epochs": 3, "batch_tokens": 2048, "learning_rate": 1e-5}])
    def test_a_run_from_before_there_were_packed_rows_goes_on_without(self, recipe, earlier):
        settled = auto.settle(recipe(AUTO), subwords=20_000, width=768, family="roberta", earlier=earlier)
        assert settled.train.packing is False
