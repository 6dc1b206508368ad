"""Memory and FLOPs of a forward pass, counted without computing anything.

The encoder runs under PyTorch's fake tensors: every operation works out shapes and number formats only, and
the weights are never allocated. What autograd would save is summed, each storage once; matrix products are
counted by PyTorch's own flop counter. So both hold for any architecture, as transformers executes it. For a
BERT they come to the published formulas, which the tests check, with s subwords in each of b rows, L layers
of width h and a attention heads:

    forward matrix products    L (24 b s h^2 + 4 b s^2 h) operations         (arXiv:2104.04473, section 3)
    saved, in 16 bits          L (34 b s h + 5 a b s^2) bytes                (arXiv:2205.05198, section 4.1)

The second term of the saved bytes is not there where attention is fused, and transformers comes to 36 to 38
instead of 34.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

Dtypes = Literal["fp32", "autocast", "half"]
"""fp32 throughout; fp32 weights under 16-bit autocast; 16-bit weights, as DeepSpeed has them."""


@dataclass(frozen=True)
class ForwardCost:
    """The cost of a forward pass, linear in the number of subwords for rows of one length."""

    saved_fixed: float
    """Bytes however many rows there are: autocast's 16-bit copies of the weights, tables of positions."""
    saved_per_token: float
    largest_per_token: float
    """Bytes per subword of the largest single tensor that is saved."""
    flops_fixed: float
    flops_per_token: float

    def saved(self, tokens: float) -> float:
        """Bytes that are held from the forward to the backward pass over so many padded subwords."""
        return self.saved_fixed + tokens * self.saved_per_token

    def flops(self, tokens: float) -> float:
        """Multiplications and additions in the forward pass's matrix products."""
        return self.flops_fixed + tokens * self.flops_per_token


def forward_cost(
    config: PretrainedConfig, dtypes: Dtypes, *, length: int, fused_attention: bool
) -> ForwardCost:
    """Count forward passes of the tagging model of `config`, dropout on, over rows of `length` subwords.

    Args:
        config: of the encoder, with `num_labels` set.
        numbers: the number formats.
        length: padded length of every row.
        fused_attention: count scaled dot-product attention as GPU kernels do it, which save no probabilities;
            a CPU's does so without dropout only. Attention that the model spells out itself is not affected.
    """
    model: Any = empty_model(config)
    if fused_attention and model.config._attn_implementation == "sdpa":
        model = empty_model(_without_attention_dropout(config))
    if dtypes == "half":
        model.bfloat16()
    model.train()
    one, two = (_run(model, dtypes, rows=rows, length=length) for rows in (1, 2))
    fixed, flops_fixed = 2 * sum(one.saved) - sum(two.saved), 2 * one.flops - two.flops
    growing = [mine for mine, other in zip(one.saved, two.saved, strict=True) if other > mine]
    return ForwardCost(
        saved_fixed=fixed,
        saved_per_token=(sum(one.saved) - fixed) / length,
        largest_per_token=max(growing) / length,
        flops_fixed=flops_fixed,
        flops_per_token=(one.flops - flops_fixed) / length,
    )


def empty_model(config: PretrainedConfig) -> torch.nn.Module:
    """The tagging model without weights: on PyTorch's `meta` device."""
    import torch
    from transformers import AutoModelForTokenClassification

    with torch.device("meta"):
        result: torch.nn.Module = AutoModelForTokenClassification.from_config(config, trust_remote_code=False)
        return result


def _without_attention_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """The CPU's attention kernel is fused only where nothing is dropped; GPU kernels are so in any case."""
    changed = copy.deepcopy(config)
    for name in config.to_dict():
        # Every family has a name of its own for the rate.
        if "att" in name and "drop" in name:
            setattr(changed, name, 0.0)
    return changed


@dataclass(frozen=True)
class _Run:
    saved: list[int]
    """Bytes of each storage saved for the backward pass, in the order of their making."""
    flops: float


def _run(model: torch.nn.Module, dtypes: Dtypes, *, rows: int, length: int) -> _Run:
    import torch
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    mode, cpu = FakeTensorMode(), torch.device("cpu")

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        return FakeTensor(mode, tensor.detach(), cpu).requires_grad_(tensor.requires_grad)

    state = {name: fake(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    ids = fake(torch.zeros(rows, length, dtype=torch.int64, device="meta"))
    own = {tensor.untyped_storage()._cdata for tensor in state.values()}
    saved: dict[int, torch.UntypedStorage] = {}
    kernels = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            # Kept alive, so that no later storage gets the same address.
            saved[storage._cdata] = storage
        return tensor

    with (
        mode,
        FlopCounterMode(display=False, custom_mapping=kernels) as counter,
        torch.autocast("cpu", torch.bfloat16, enabled=dtypes == "autocast"),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
    ):
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        torch.func.functional_call(model, state, (), inputs)
    return _Run([storage.nbytes() for storage in saved.values()], counter.get_total_flops())


def _attention_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    """Those of the CPU's fused attention, the one kernel that PyTorch's counter does not know."""
    from torch.utils.flop_counter import sdpa_flop_count

    result: int = sdpa_flop_count(query, key, value)
    return result
