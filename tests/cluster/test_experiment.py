"""`ner-dist slurm` without Slurm: what it would submit, and what it refuses."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ner_dist import cli
from ner_dist.cluster.experiment import SubmitOptions, find_script, plan_experiment, read_runs, runs_text
from ner_dist.errors import UserError
from ner_dist.recipe_file import differ_in_labels_only, load_recipe
from ner_dist.run.directory import Run
from ner_dist.run.provenance import write_recipe
from tests.conftest import REPOSITORY
from tests.distributed.launching import LAUNCH, RECIPE

FULL, SUBSET = "full recipe.yaml", "subset.yaml"
DDP = str(LAUNCH / "ddp_bf16.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A current folder with two recipes and the batch scripts."""
    (tmp_path / FULL).write_text(RECIPE.replace("name: tiny", "name: full"))
    (tmp_path / SUBSET).write_text(f"extends: {FULL}\nname: subset\nlabels: [PER, LOC]\ntrain: {{seed: 5}}\n")
    (tmp_path / "launch/slurm").mkdir(parents=True)
    for name in ("train.sbatch", "compare.sbatch"):
        (tmp_path / "launch/slurm" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*arguments, seeds=None, out="exp", third=None, **options):
    return plan_experiment(arguments, seeds=seeds, out=out, options=SubmitOptions(**options), third=third)


def command(*arguments):
    """Run `ner-dist slurm` in a process of its own, on a machine without Slurm."""
    nothing = Path("no programs")
    nothing.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "ner_dist.cli", "slurm", *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PATH": str(nothing.resolve())},
        capture_output=True,
        text=True,
    )


def refused(*arguments, **options):
    with pytest.raises(UserError) as error:
        planned(*arguments, **options)
    return str(error.value)


class TestDryRun:
    def test_it_prints_what_would_be_submitted_and_touches_nothing(self, here):
        before = sorted(here.rglob("*"))
        done = command(FULL, SUBSET, "--seeds", "1,2", "--out", "my exp", "train.max_steps=3", "--dry-run")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        train, compare = (shlex.split(line) for line in lines if line.startswith("sbatch "))
        assert train == [
            *("sbatch", "--parsable", "--array=0-3", "--output=my exp/logs/%x-%A_%a.log"),
            *("launch/slurm/train.sbatch", "--runs", "my exp/runs.tsv"),
        ]
        runs = [f"my exp/{name}/seed-{seed}" for name in ("full", "subset") for seed in (1, 2)]
        assert compare == [
            *("sbatch", "--parsable", "--dependency=afterany:ARRAY", "--output=my exp/logs/%x-%j.log"),
            *("launch/slurm/compare.sbatch", *runs, "--out", "my exp/comparison"),
        ]
        assert [line for line in lines if "\t" in line] == [
            f"{recipe}\ttrain.max_steps=3\toutput_dir=my exp/{name}/seed-{seed}\ttrain.seed={seed}"
            for recipe, name in ((FULL, "full"), (SUBSET, "subset"))
            for seed in (1, 2)
        ]
        assert lines[-1] == "dry run: nothing was written or submitted"
        assert set(here.rglob("*")) - set(before) == {here / "no programs"}

    def test_without_dry_run_slurm_has_to_be_there(self, here):
        done = command(FULL, SUBSET, "--out", "exp")
        assert done.returncode == 2
        assert done.stderr.startswith("error: sbatch is not on PATH: ")
        assert len(done.stderr.splitlines()) == 1
        assert not (here / "exp").exists()


class TestWhatIsSubmitted:
    def test_options_are_handed_to_sbatch_and_the_users_own_come_last(self):
        experiment = planned(
            *(FULL, SUBSET),
            **{"launch_config": DDP, "nodes": 2, "gpus_per_node": 4, "time": "04:00:00"},
            **{"partition": "gpu", "account": "ours", "sbatch": ["--qos long", "--array=0-1%1"]},
        )
        train = experiment.train_command()
        assert train[4:12] == [
            *("--nodes=2", "--gpus-per-node=4", "--time=04:00:00", "--partition=gpu", "--account=ours"),
            *("--qos", "long", "--array=0-1%1"),
        ]
        assert train[13:] == ["--runs", "exp/runs.tsv", "--launch-config", DDP]
        # The comparison is one small job of its own: only where it may run is the same.
        assert experiment.compare_command("7")[2:6] == [
            *("--dependency=afterany:7", "--output=exp/logs/%x-%j.log", "--partition=gpu", "--account=ours"),
        ]

    def test_without_seeds_each_recipe_has_its_own(self):
        runs = planned(FULL, SUBSET).runs
        assert [(run.index, run.name, run.seed, run.folder) for run in runs] == [
            (0, "full", 13, "exp/full/seed-13"),
            (1, "subset", 5, "exp/subset/seed-5"),
        ]
        assert [run.seed for run in planned(FULL, SUBSET, "train={seed: 4}").runs] == [4, 4]

    def test_two_recipes_or_more_are_compared(self, here):
        (here / "third.yaml").write_text(f"extends: {FULL}\nname: third\ntrain: {{epochs: 5}}\n")
        assert planned(FULL, SUBSET).compares
        assert planned(FULL, SUBSET, "third.yaml").compares
        assert not planned(FULL, seeds="1,2").compares

    def test_an_argument_that_is_a_file_is_a_recipe_whatever_its_name(self, here):
        (here / "lr=3.yaml").write_text(f"extends: {FULL}\nname: other\n")
        experiment = planned("train.epochs=3", "lr=3.yaml", FULL, "data.path=some/where")
        assert [run.recipe for run in experiment.runs] == ["lr=3.yaml", FULL]
        assert experiment.runs[0].overrides[:2] == ("train.epochs=3", "data.path=some/where")
        assert "a=b.yaml: there is no such recipe" in refused("./a=b.yaml")

    def test_a_value_may_be_longer_than_any_files_name(self):
        labels = f"labels=[{', '.join(f'TYPE{number}' for number in range(60))}]"
        assert planned(FULL, labels).runs[0].overrides[0] == labels

    @pytest.mark.parametrize("out", ["my exp", "a: b #1", "50%/{x}", "über/=x", "'it''s", "[1]"])
    def test_a_line_of_the_runs_file_is_the_run_whatever_the_folder_is_called(self, here, out):
        experiment = planned(FULL, SUBSET, "labels=[PER, LOC]", seeds="1,2", out=out)
        (here / "runs.tsv").write_text(runs_text(experiment.runs))
        rows = read_runs(here / "runs.tsv")
        assert len(rows) == 4
        for (recipe, *overrides), run in zip(rows, experiment.runs, strict=True):
            loaded = load_recipe(recipe, overrides)
            assert (loaded.name, loaded.output_dir, loaded.train.seed) == (run.name, run.folder, run.seed)
            assert loaded.labels == ["PER", "LOC"]

    def test_a_percent_sign_in_the_folder_is_none_of_slurms(self):
        assert "--output=50%%x/logs/%x-%A_%a.log" in planned(FULL, SUBSET, out="50%x").train_command()

    def test_scripts_are_those_of_the_checkout_where_the_current_folder_has_none(self, here):
        assert find_script("compare.sbatch") == "launch/slurm/compare.sbatch"
        (here / "launch/slurm/compare.sbatch").unlink()
        assert Path(find_script("compare.sbatch")) == REPOSITORY / "launch/slurm/compare.sbatch"
        with pytest.raises(UserError, match=r"there is no launch/slurm/none\.sbatch"):
            find_script("none.sbatch")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "options", "said"),
        [
            (["train.epochs=1"], {}, "no recipe given"),
            ([FULL, "none.yaml"], {}, "none.yaml: there is no such recipe"),
            ([FULL, "train.epoch=1"], {}, "did you mean `train.epochs`?"),
            ([FULL, "tr/ain=1"], {}, "tr/ain=1: there is no such recipe"),
            ([FULL, FULL], {}, f"{FULL}: is called full, as is {FULL}; give each recipe its own `name`"),
            ([FULL, SUBSET, "name=x"], {}, f"{SUBSET}: is called x, as is {FULL}"),
            ([FULL, "name=logs"], {}, f"{FULL}: the name logs is taken"),
            ([FULL, "output_dir=x"], {}, "`output_dir=x` contradicts --out"),
            ([FULL, "train.seed=1"], {"seeds": "1,2"}, "`train.seed=1` contradicts --seeds"),
            ([FULL, "data.path=a\tb"], {}, "contains a tab"),
            ([FULL], {"seeds": "1,x"}, "--seeds: `1,x` is not a list of seeds; write 1,2,3"),
            ([FULL], {"seeds": "1,2,1"}, "--seeds 1,2,1: a seed is named twice"),
            ([FULL], {"launch_config": "none.yaml"}, "launch config none.yaml: cannot be read: No such file"),
            (
                [FULL],
                {"launch_config": str(LAUNCH / "single_gpu.yaml"), "nodes": 2, "gpus_per_node": 4},
                "starts one process, and this is 2 nodes x 4 GPUs",
            ),
            ([FULL], {"out": SUBSET}, f"--out {SUBSET}: is a file"),
            ([FULL], {"out": "launch"}, "--out launch: holds files that are not an experiment"),
        ],
    )
    def test_what_cannot_work_is_said_before_anything_is_submitted(self, arguments, options, said):
        assert said in refused(*arguments, **options)

    def test_a_mistake_is_one_line_and_exit_code_2(self, capsys, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["ner-dist", "slurm", FULL, "--seeds", "one", "--out", "exp"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 2
        assert capsys.readouterr().err == "error: --seeds: `one` is not a list of seeds; write 1,2,3\n"


class TestTheSameFolderAgain:
    @pytest.fixture(autouse=True)
    def begun(self, here):
        """The folder of an experiment that was submitted before."""
        (here / "exp/logs").mkdir(parents=True)
        (here / "exp/runs.tsv").write_text(runs_text(planned(FULL, SUBSET, seeds="1,2", out="new").runs))

    def test_the_same_experiment_is_accepted_from_wherever_it_is_named(self, here):
        again = planned(FULL, SUBSET, seeds="1,2")
        assert planned(FULL, SUBSET, seeds="1,2", nodes=2).runs == again.runs
        assert len(planned(str(here / FULL), str(here / SUBSET), seeds="1,2", out=here / "exp").runs) == 4

    @pytest.mark.parametrize(
        ("arguments", "seeds"),
        [([FULL, SUBSET], "1,2,3"), ([SUBSET, FULL], "1,2"), ([FULL, SUBSET, "train.epochs=9"], "1,2")],
    )
    def test_another_experiment_is_refused(self, arguments, seeds):
        said = refused(*arguments, seeds=seeds)
        assert said.startswith(
            "--out exp: holds another experiment: its recipes, seeds or settings in exp/runs.tsv"
        )

    def test_a_recipe_that_was_changed_since_its_run_began_is_refused(self, here):
        run = planned(FULL, SUBSET, seeds="1,2").runs[2]
        write_recipe(Run(Path(run.folder)), load_recipe(run.recipe, run.overrides), world={}, fingerprint="")
        (here / run.folder / "metrics.jsonl").write_text("{}\n")
        assert planned(FULL, SUBSET, seeds="1,2")
        (here / SUBSET).write_text((here / SUBSET).read_text().replace("LOC", "ORG"))
        said = refused(FULL, SUBSET, seeds="1,2")
        assert said.startswith(
            "output_dir exp/subset/seed-1: holds the run of another recipe (they differ in lab"
        )


class TestThirdModels:
    @pytest.fixture
    def other(self, here):
        """A recipe that differs in labels and in training."""
        (here / "other.yaml").write_text(
            f"extends: {FULL}\nname: other\nlabels: [LOC, 'no']\ntrain: {{epochs: 7}}\n"
        )
        return "other.yaml"

    def test_the_first_recipe_learns_the_labels_of_the_second(self, other):
        experiment = planned(FULL, other, seeds="1,2", third="one")
        assert [run.folder for run in experiment.runs[4:]] == [
            f"exp/full-labels-of-other/seed-{seed}" for seed in (1, 2)
        ]
        first, second, third = (load_recipe(run.recipe, run.overrides) for run in experiment.runs[::2])
        assert (third.labels, third.train) == (second.labels, first.train)
        assert differ_in_labels_only(first, third)
        # runs.tsv has a line a run that gives the same recipe.
        line = runs_text(experiment.runs).splitlines()[4].split("\t")
        assert load_recipe(line[0], line[1:]) == third

    def test_the_reverse_model(self, other):
        experiment = planned(FULL, other, third="both")
        assert [run.name for run in experiment.runs] == [
            *("full", "other", "full-labels-of-other", "other-labels-of-full")
        ]
        _, second, _, reverse = (load_recipe(run.recipe, run.overrides) for run in experiment.runs)
        assert (reverse.labels, reverse.train.epochs) == ("all", second.train.epochs)

    def test_what_there_is_nothing_to_part_of_is_refused(self, here, other):
        (here / "same.yaml").write_text(f"extends: {FULL}\nname: same\ntrain: {{epochs: 9}}\n")
        # The seed of subset.yaml is no part of its training.
        assert "differ in their labels only" in refused(FULL, SUBSET, third="one")
        assert "have the same `labels`" in refused(FULL, "same.yaml", third="one")
        assert "`labels: all` names no types" in refused(other, FULL, third="one")
        assert "and 3 are named" in refused(FULL, other, SUBSET, third="one")
        assert "would be the same for all models" in refused(FULL, other, "labels=[PER]", third="one")
