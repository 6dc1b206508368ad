"""GPUs that torch cannot use are refused with the line to type; settings are restored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.runtime import gpu

CU130 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]
CU126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.fixture(autouse=True)
def _visible(monkeypatch):
    for name in ("ACCELERATE_USE_CPU", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unusable(monkeypatch):
    """Eight GPUs of a driver's version that torch, built with a CUDA, does not reach."""

    def unusable(*, cuda: str | None, driver: str | None, there: int = 8) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(gpu, "gpus_there", lambda: there)
        monkeypatch.setattr(gpu, "driver_version", lambda: driver)

    return unusable


def refusal() -> str:
    with pytest.raises(UserError) as caught:
        gpu.check_usable()
    return str(caught.value)


class TestUnusable:
    def test_driver_older_than_the_cuda_of_torch(self, unusable):
        unusable(cuda="13.0", driver="550.54.15")
        said = refusal()
        assert "8 GPUs, but its driver 550.54.15 is too old for CUDA 13.0" in said
        assert "needs driver 580 or newer" in said
        version = torch.__version__.partition("+")[0]
        assert (
            f"pip install torch=={version}+cu126 --extra-index-url https://download.pytorch.org/whl/cu126"
            in said
        )

    def test_driver_that_is_new_enough_has_another_fault(self, unusable):
        unusable(cuda="13.0", driver="580.65.06", there=1)
        assert "1 GPU, but torch cannot start CUDA 13.0 on driver 580.65.06" in refusal()
        unusable(cuda="12.6", driver="470.1")
        assert "needs driver 525 or newer" in refusal()

    def test_torch_without_cuda(self, unusable):
        unusable(cuda=None, driver="580.65.06")
        assert "the installed torch is built without CUDA" in refusal()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1"), ("ACCELERATE_USE_CPU", "true")],
    )
    def test_who_asks_for_the_cpu_gets_it(self, unusable, monkeypatch, name, value):
        unusable(cuda="13.0", driver="550.54.15")
        monkeypatch.setenv(name, value)
        gpu.check_usable()

    def test_machine_without_gpus(self, unusable):
        unusable(cuda="13.0", driver=None, there=0)
        gpu.check_usable()


class TestArchitectures:
    @pytest.mark.parametrize(
        ("capability", "built_for", "runs"),
        [
            ((7, 0), CU130, False),
            ((7, 0), CU126, True),
            ((7, 5), CU130, True),
            ((8, 0), CU130, True),
            ((8, 9), CU130, True),  # L40S and RTX 4090 run the code of 8.6
            ((9, 0), CU130, True),
            ((10, 3), CU130, True),
            ((12, 1), CU130, True),
            ((13, 0), CU130, True),  # compiled by the driver from compute_120
            ((10, 0), CU126, False),
            ((6, 1), CU126, True),
            ((9, 0), ["sm_80", "sm_90a"], True),
            ((9, 1), ["sm_80", "sm_90a"], False),
        ],
    )
    def test_machine_code_runs_on_its_major_version(self, capability, built_for, runs):
        assert gpu.has_code_for(capability, built_for) is runs

    def test_v100_with_the_wheel_of_pypi(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 0))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla V100-SXM2-16GB")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU130)
        said = refusal()
        assert "Tesla V100-SXM2-16GB (compute capability 7.0) cannot run torch" in said
        assert "+cu126 --extra-index-url https://download.pytorch.org/whl/cu126" in said
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU126)
        gpu.check_usable()


@pytest.mark.parametrize(
    ("answer", "number"),
    [("GPU 0: A100 (UUID: GPU-1)\nGPU 1: A100 (UUID: GPU-2)\n", 2), ("No devices were found\n", 0)],
)
def test_gpus_without_device_files_are_counted_by_nvidia_smi(tmp_path, monkeypatch, answer, number):
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has GPUs of its own")
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpu.gpus_there() == number


def test_attention_of_cudnn_is_off_and_everything_is_restored():
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with gpu.settings_restored():
        gpu.set_up(deterministic=True)
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("NCCL error: unhandled cuda error\nLast error: Cuda failure 2 'out of memory'"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_runs_out_is_recognised_wherever_it_does(error, is_one):
    assert gpu.is_out_of_memory(error) is is_one


def test_allocator_keeps_what_the_user_set(monkeypatch):
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128")
    gpu.prepare_allocator()
    assert "PYTORCH_ALLOC_CONF" not in os.environ
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF")
    gpu.prepare_allocator()
    assert os.environ["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
