"""`ner-dist plan` from the command line: its output and its errors."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from transformers import LongformerConfig

from ner_dist.data.prepare import prepare
from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config
from ner_dist.recipe_file import load_recipe
from ner_dist.sizing.plan import PlanOptions, bytes_of, plan
from ner_dist.sizing.report import WIDTH
from ner_dist.sizing.workload import workload_of
from tests.command_line import ner_dist
from tests.distributed.launching import RECIPE, REPOSITORY

FULL = str(REPOSITORY / "recipes" / "full.yaml")
SMALL = ["model.name=scratch", "model.scratch.hidden_size=64"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command line."""
    code = ner_dist("plan", *arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_table_fits_a_terminal_and_ends_with_the_command(capsys):
    code, out, err = run(capsys, FULL, "--gpus", "8", "--gpu-memory", "16GiB", *SMALL)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1].startswith("  accelerate launch --config_file launch/")
    assert f"-m ner_dist.train {FULL} {' '.join(SMALL)}" in lines[-1]
    assert all(len(line) <= WIDTH for line in lines[:-1])
    for name in ("single_gpu", "ddp_bf16", "zero1_fp16", "zero2_bf16", "zero3_offload_bf16", "cpu"):
        assert any(line.startswith(f"{name} ") for line in lines)
    said = " ".join(out.split())
    assert "assumed: MultiNERD" in said and "modelled: " in said and "take " in said


def test_no_cell_is_cut_on_several_machines(capsys):
    _, out, _ = run(capsys, FULL, "--gpus", "16", "--gpu-memory", "40GiB", "model.name=roberta-base")
    assert "multi_node_zero2_bf16 " in out and "…" not in out


def test_the_command_that_is_advised_loads_the_recipe(capsys):
    _, out, _ = run(capsys, FULL, "--gpus", "8", "--gpu-memory", "16GiB", "--json", *SMALL)
    plan = json.loads(out)
    config = next(each for each in plan["configs"] if each["config"] == plan["take"])
    words = plan["command"].split()
    recipe, *overrides = words[words.index("ner_dist.train") + 1 :]
    assert load_recipe(recipe, overrides).train.micro_batch_tokens == config["micro_batch_tokens"]
    assert (REPOSITORY / words[words.index("--config_file") + 1]).exists()


def test_json_holds_the_whole_plan(capsys):
    _, out, _ = run(capsys, FULL, "--gpus", "16", "--gpu-memory", "80GB", "--gpu", "h100", "--json", *SMALL)
    plan = json.loads(out)
    zero2 = next(each for each in plan["configs"] if each["config"] == "multi_node_zero2_bf16")
    parts = zero2["memory_bytes"]
    sides = ("weights", "gradients", "optimiser", "activations", "buffers")
    assert sum(parts[name] for name in sides) == pytest.approx(parts["total"], abs=5)
    trained = zero2["steps"] * zero2["seconds"]["step"]
    whole = zero2["start_seconds"] + trained + zero2["scoring_seconds"]
    assert zero2["hours"] == pytest.approx(whole / 3600)
    assert zero2["hours_range"][0] < zero2["hours"] < zero2["hours_range"][1]
    # Evaluations and both final scorings of an eighth each, at a third of training's cost, on all ranks.
    assert 0 < zero2["scoring_seconds"] < trained
    assert zero2["seconds"]["limited_by"] in ("device", "host", "network")
    assert plan["data"]["sentences"] == 131_280 and plan["model"]["layers"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "0", "--gpu-memory", "16GiB"], "error: --gpus: 0 is out of range"),
        (["--gpus", "8", "--gpu-memory", "many"], "--gpu-memory: `many` is no size of memory; write one"),
        (["--gpus", "8", "--gpu-memory", "16"], "--gpu-memory: `16` is no size of memory"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--gpu", "a1000"], "did you mean a100?"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--gpu", "abacus"], "It knows t4, v100"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--flops", "-1"], "--flops: -1.0 is out of range"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--flops", "nan"], "--flops: nan is out of range"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--latency", "inf"], "--latency: inf is out of range"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--latency", "-1"], "--latency: -1.0 is out of range"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "--gpus-per-node", "0"], "--gpus-per-node: 0"),
        (["--gpus", "eight", "--gpu-memory", "16GiB"], "should be a valid integer"),
        (["--gpus", "8"], "--gpu-memory"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "train.epochs=0"], "train.epochs"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "data.path=elsewhere"], "say --sentences N"),
        (["--gpus", "8", "--gpu-memory", "16GiB", "model.name=some/model"], "cannot load the model"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments, said):
    code, _, err = run(capsys, FULL, *arguments)
    assert code == 2
    assert err.count("\n") == 1 and err.startswith("error: ") and said in err


@pytest.mark.parametrize(
    ("text", "size"),
    [("16GiB", 16 * 2**30), ("80GB", 80e9), ("1.5t", 1.5e12), (" 512 MiB ", 2**29), ("24Gi", 24 * 2**30)],
)
def test_sizes_of_memory(text, size):
    assert bytes_of(text, option="--gpu-memory") == size


def test_prepared_data_is_counted(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(path, [f"data.cache_dir={tmp_path}"])
    assert workload_of(recipe).source.startswith("the embedded corpus's size")
    data = prepare(recipe, load_config(recipe.model))
    found = workload_of(recipe)
    train = data.splits["train"]
    assert found.source == "counted in the prepared data"
    assert (found.sentences, found.words) == (train.n_sentences, len(train.tags))
    assert (
        found.subwords == int(np.sum(train.encoded.lengths)) and found.longest == train.encoded.lengths.max()
    )
    assert workload_of(recipe, sentences=500).source == "as given on the command line"


def test_the_user_says_how_much_data_there_is():
    recipe = load_recipe(FULL, ["data.path=elsewhere"])
    found = workload_of(recipe, sentences=1000, words=30_000)
    assert (found.sentences, found.words) == (1000, 30_000)
    with pytest.raises(UserError, match="not known before it is prepared"):
        workload_of(recipe)


def test_an_encoder_that_cannot_be_counted_is_refused(tmp_path):
    # Its windows depend on the values of the mask.
    shape = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    LongformerConfig(attention_window=[8], vocab_size=100, **shape).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"(?s)longformer.*cannot be counted without running it"):
        plan(FULL, [f"model.name={tmp_path}"], PlanOptions(gpus=1, gpu_memory="8GiB"))


def test_help_does_not_wait_for_heavy_imports():
    code = "import sys, ner_dist.cli; print({'torch', 'transformers', 'pydantic'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
