"""The choice of the precision and its reason, refusals with advice, and names of strategies."""

from __future__ import annotations

import logging
import os
import re
import time
from types import SimpleNamespace

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe
from ner_dist.runtime import accelerator as runtime
from ner_dist.runtime.accelerator import describe
from ner_dist.runtime.precision import Device, config_for, resolve_precision
from tests.conftest import REPOSITORY

A100 = Device("NVIDIA A100-SXM4-40GB", is_gpu=True, native_bf16=True)
V100 = Device("Tesla V100-SXM2-16GB", is_gpu=True, native_bf16=False)
CPU = Device("CPU", is_gpu=False, native_bf16=False)
CPU_BF16 = Device("CPU", is_gpu=False, native_bf16=True)
DEVICES = {"A100": A100, "V100": V100, "CPU": CPU, "CPU with bf16": CPU_BF16}


@pytest.fixture(autouse=True)
def _not_launched(monkeypatch):
    """The environment of a process that was started without a launcher."""
    for name in (
        "ACCELERATE_USE_DEEPSPEED",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE",
        "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE",
        "ACCELERATE_MIXED_PRECISION",
        "ACCELERATE_USE_CPU",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "LOCAL_RANK",
        "RANK",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def launched(monkeypatch):
    """Set the environment of `accelerate launch` for a launch config."""

    def launched(*, world: int = 1, stage: int | None = None, offload: bool = False) -> None:
        monkeypatch.setenv("WORLD_SIZE", str(world))
        if stage is not None:
            monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
            monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", str(stage))
            device = "cpu" if offload else "none"
            monkeypatch.setenv("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", device)

    return launched


def refused(asked: str, launch: str | None, device: Device, model_type: str = "roberta") -> str:
    with pytest.raises(UserError) as caught:
        resolve_precision(asked, launch, device, model_type=model_type)
    return str(caught.value)


class TestPrecision:
    @pytest.mark.parametrize(
        ("asked", "launch", "device", "precision", "why"),
        [
            # Nobody names one: the hardware decides.
            ("auto", None, "A100", "bf16", "A100-SXM4-40GB computes in it natively"),
            ("auto", "no", "A100", "bf16", "A100-SXM4-40GB computes in it natively"),
            ("auto", None, "V100", "fp16", "older than compute capability 8.0"),
            ("auto", "no", "V100", "fp16", "older than compute capability 8.0"),
            ("auto", None, "CPU", "fp32", "CPU has no faster format"),
            ("auto", "no", "CPU with bf16", "bf16", "CPU computes in it natively"),
            # The launch config names one.
            ("auto", "bf16", "A100", "bf16", "named in the launch config"),
            ("auto", "fp16", "A100", "fp16", "named in the launch config"),
            ("auto", "fp16", "V100", "fp16", "named in the launch config"),
            ("auto", "bf16", "CPU with bf16", "bf16", "named in the launch config"),
            ("auto", "bf16", "CPU", "fp32", "would only be emulated by this CPU"),
            # The recipe names one.
            ("fp32", None, "A100", "fp32", "named in the recipe"),
            ("fp32", "no", "A100", "fp32", "named in the recipe"),
            ("bf16", "bf16", "A100", "bf16", "named in the recipe"),
            ("bf16", None, "CPU", "bf16", "named in the recipe"),
            (
                "fp32",
                "bf16",
                "A100",
                "fp32",
                "named in the recipe, which overrides bf16 of the launch config",
            ),
            (
                "fp16",
                "bf16",
                "V100",
                "fp16",
                "named in the recipe, which overrides bf16 of the launch config",
            ),
            ("fp32", "fp16", "CPU", "fp32", "named in the recipe, which overrides fp16 of the launch config"),
        ],
    )
    def test_what_is_taken_and_why(self, asked, launch, device, precision, why):
        found, reason = resolve_precision(asked, launch, DEVICES[device], model_type="roberta")
        assert found == precision
        assert reason.endswith(why) if "recipe" in why else why in reason

    @pytest.mark.parametrize("model_type", ["deberta", "deberta-v2"])
    def test_deberta_is_never_trained_in_fp16_by_itself(self, model_type):
        taken = {
            name: resolve_precision("auto", None, device, model_type=model_type)[0]
            for name, device in DEVICES.items()
        }
        assert taken == {"A100": "bf16", "V100": "fp32", "CPU": "fp32", "CPU with bf16": "bf16"}


class TestRefusals:
    @pytest.mark.parametrize(("asked", "launch"), [("bf16", None), ("auto", "bf16"), ("bf16", "fp16")])
    def test_bf16_on_a_v100(self, asked, launch, launched):
        launched(world=8, stage=2)
        what, fix = refused(asked, launch, V100).split("; ")
        assert what == (
            "precision: bf16 needs compute capability 8.0 (A100 or newer), which Tesla "
            "V100-SXM2-16GB does not have"
        )
        assert fix == (
            "launch with launch/zero2_fp16.yaml and leave precision at auto, "
            "or pass precision=fp16 or precision=fp32"
        )

    @pytest.mark.parametrize(("asked", "launch"), [("fp16", None), ("auto", "fp16"), ("fp16", "bf16")])
    @pytest.mark.parametrize("device", [CPU, CPU_BF16])
    def test_fp16_without_a_gpu(self, asked, launch, device, launched):
        launched(world=2)
        message = refused(asked, launch, device)
        assert message.startswith("precision: fp16 trains only on a GPU, and none is available; ")
        assert "launch/ddp_bf16.yaml" in message

    def test_deberta_in_fp16(self, launched):
        launched(world=8, stage=3)
        message = refused("fp16", None, A100, "deberta-v2")
        assert message.startswith("precision: DeBERTa's attention overflows in fp16 and gives NaN; ")
        assert "launch/zero3_bf16.yaml" in message

    @pytest.mark.parametrize(("asked", "launch"), [("fp16", None), ("auto", "fp16"), ("bf16", "bf16")])
    def test_what_is_proposed_is_possible(self, asked, launch):
        """A V100 has no bf16 and DeBERTa no fp16: neither may be proposed."""
        message = refused(asked, launch, V100, "deberta-v2")
        assert message.endswith("; pass precision=fp32, which overrides the launch config")
        assert resolve_precision("fp32", launch, V100, model_type="deberta-v2")[0] == "fp32"


class TestStrategies:
    @pytest.mark.parametrize(
        ("launch", "config", "description"),
        [
            ({}, "single_gpu", "one process"),
            ({"world": 8}, "ddp_bf16", "DDP"),
            ({"world": 8, "stage": 1}, "zero1_bf16", "ZeRO-1"),
            ({"world": 8, "stage": 2}, "zero2_bf16", "ZeRO-2"),
            ({"world": 1, "stage": 3}, "zero3_bf16", "ZeRO-3"),
            ({"world": 8, "stage": 3, "offload": True}, "zero3_offload_bf16", "ZeRO-3 + offload"),
        ],
    )
    def test_names(self, launched, launch, config, description):
        launched(**launch)
        assert config_for("bf16").name == config
        zero = {"stage": launch.get("stage")}
        if launch.get("offload"):
            zero["offload_optimizer"] = {"device": "cpu"}
        plugin = SimpleNamespace(deepspeed_config={"zero_optimization": zero})
        accelerator = SimpleNamespace(
            num_processes=launch.get("world", 1), state=SimpleNamespace(deepspeed_plugin=plugin)
        )
        assert describe(accelerator) == description

    @pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
    @pytest.mark.parametrize("world", [1, 2])
    @pytest.mark.parametrize(
        ("stage", "offload"), [(None, False), (1, False), (2, False), (3, False), (3, True)]
    )
    def test_every_launch_config_that_a_refusal_names_is_there(self, launched, world, stage, offload, device):
        launched(world=world, stage=stage, offload=offload)
        for asked in ("bf16", "fp16"):
            for model_type in ("roberta", "deberta-v2"):
                try:
                    resolve_precision(asked, None, device, model_type=model_type)
                except UserError as error:
                    named = re.findall(r"launch/\w+\.yaml", str(error))
                    assert all((REPOSITORY / path).is_file() for path in named)

    def test_precision_of(self):
        assert runtime.precision_of(SimpleNamespace(mixed_precision="no")) == "fp32"
        assert runtime.precision_of(SimpleNamespace(mixed_precision="bf16")) == "bf16"


class TestDevice:
    @pytest.fixture
    def gpu(self, monkeypatch):
        """Make torch report one GPU of a compute capability."""

        def gpu(name: str, capability: tuple[int, int]) -> None:
            monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
            monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
            monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)
            monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: name)

        return gpu

    @pytest.mark.parametrize(("capability", "native"), [((7, 0), False), ((7, 5), False), ((8, 0), True)])
    def test_bf16_goes_by_compute_capability(self, gpu, capability, native):
        gpu("GPU", capability)
        assert Device.here() == Device("GPU", is_gpu=True, native_bf16=native)

    def test_a_launch_config_may_forbid_the_gpu(self, gpu, monkeypatch):
        gpu("GPU", (9, 0))
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        assert not Device.here().is_gpu

    @pytest.mark.parametrize(
        ("flags", "native"),
        [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False), ({}, False)],
    )
    def test_a_cpu_has_bf16_only_if_natively(self, monkeypatch, flags, native):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
        assert Device.here() == Device("CPU", is_gpu=False, native_bf16=native)


class TestStart:
    def test_a_tracker_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
        settings = {
            "name": "a",
            "output_dir": "b",
            "data": {"path": "c"},
            "logging": {"trackers": ["mlflow"]},
        }
        with pytest.raises(
            UserError, match="the tracker `mlflow` is not installed; pip install mlflow, or leave it out"
        ):
            runtime._check_trackers(Recipe.model_validate(settings))

    def test_processes_that_did_not_find_each_other(self, launched):
        launched(world=4)
        with pytest.raises(UserError, match="4 processes were launched, but they did not find each other"):
            runtime._check_world(SimpleNamespace(num_processes=1))
        runtime._check_world(SimpleNamespace(num_processes=4))

    def test_only_rank_0_logs_below_errors(self, monkeypatch):
        package = logging.getLogger("ner_dist")
        monkeypatch.setattr(package, "handlers", [logging.NullHandler()])
        monkeypatch.setattr(package, "level", logging.NOTSET)
        runtime.set_up_logging(main=False)
        assert not logging.getLogger("ner_dist.training.loop").isEnabledFor(logging.WARNING)
        runtime.set_up_logging(main=True)
        assert logging.getLogger("ner_dist.training.loop").isEnabledFor(logging.INFO)


class TestUnfinishedBuilds:
    @pytest.fixture
    def lock(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
        (tmp_path / "deepspeed_shm_comm").mkdir()
        path = tmp_path / "deepspeed_shm_comm/lock"
        path.touch()
        return path

    def test_a_lock_that_a_killed_compiler_left_is_named(self, lock, caplog):
        an_hour_ago = time.time() - 3600
        os.utime(lock, (an_hour_ago, an_hour_ago))
        runtime.warn_of_unfinished_builds()
        assert "started to compile it 60 min ago" in caplog.text and f"delete {lock}" in caplog.text

    def test_a_compiler_at_work_is_left_alone(self, lock, caplog):
        runtime.warn_of_unfinished_builds()
        assert not caplog.text


def test_offload_without_a_compiler_is_refused_before_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"offload needs g\+\+ and ninja, .* pip install ninja"):
        runtime._check_compiler()
    for name in ("clang++", "ninja"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("CXX", "clang++")
    runtime._check_compiler()


def test_more_processes_than_gpus_that_each_sees(monkeypatch, launched):
    launched(world=8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"8 processes were launched where each sees 1 GPU; .*gpus-per-task"):
        runtime._check_devices(A100)


def test_gpus_that_one_process_leaves_alone_are_told(monkeypatch, log_lines):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    runtime._tell_of_other_gpus(A100, 1)
    assert log_lines == ["one of 4 GPUs is used: `ner-dist train RECIPE --processes 4` uses all of them"]
    runtime._tell_of_other_gpus(A100, 4)
    runtime._tell_of_other_gpus(CPU, 1)
    assert len(log_lines) == 1
