"""Reloads an export before it appears, and compares it with what was scored.

    weights   every tensor of every shard, bit for bit, against a merge made again
    logits    of the directory as plain transformers or peft loads it, against the live model's

How far logits may lie apart depends on what separates the two. The same weights through the same
layers give the same numbers, and only a last digit is forgiven (`TOLERANCE`). The same sums in
another order (a cache, an adapter beside its base) differ by the rounding of the type that they
are computed in (`rounding`). Weights that were rounded to a checkpoint's type are compared with
what chance changes of that size do (engine/export/unmerged.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import safe_open
from torch import Tensor

from engine.decoding.fusion import combine
from engine.errors import ParetoscopeError
from engine.export.checkpoint import Coefficients
from engine.export.layout import Planned
from engine.family.checkpoint import open_checkpoint
from engine.family.loading import load_module
from engine.merging.adapters import plain_adapter
from engine.merging.basis import Basis
from engine.merging.merged_model import merged_tensor

if TYPE_CHECKING:
    from engine.compose import Composer
    from engine.composed import ComposedModel

TOLERANCE = 1e-4
"""Largest |logit difference| between two runs of the same float32 weights."""

_ORDER = {torch.float32: 256, torch.bfloat16: 16, torch.float16: 16}
"""Unit roundoffs of the largest logit by which another order of the same sums may move one. In
float32 the sums themselves are rounded; 16-bit types are summed in float32 and rounded once an
operation."""

_PROBES = 4
_PROBE_LENGTH = 32


class NotWhatWasScored(ParetoscopeError):
    """An export that was read again is not the model that it should be."""


@dataclass(frozen=True)
class Live:
    """What is compared with: the model that was scored, on the same ids.

    Attributes:
        ids: int64 [probes, length].
        logits: float32 [probes, length, rows], of the live model.
        out: where the export will stand, for messages.
    """

    ids: Tensor
    logits: Tensor
    out: Path


def probe_ids(composer: Composer) -> Tensor:
    """Token ids [4, 32] to compare logits on: spread over the vocabulary, the same every time."""
    generator = torch.Generator().manual_seed(0)
    size = min(composer.text.size, composer.family.rows)
    ids = torch.randint(0, size, (_PROBES, _PROBE_LENGTH), generator=generator)
    return ids.to(composer.device)


@torch.inference_mode()
def probe(model: ComposedModel, ids: Tensor) -> Tensor:
    """Logits of a composed model on probes, float32, cut to the rows that all of it has; of several
    models −inf where an id is beyond the vocabulary."""
    rows = model.rows
    parts = [each(input_ids=ids).logits[..., :rows].float() for each in model.modules]
    if model.mixture is None:
        return parts[0]
    return combine(model.mixture, parts, model.vocabulary)


def rounding(dtype: torch.dtype, largest: float) -> float:
    """How far a logit may move when the same sums are made in another order.

    Args:
        dtype: that the models compute in.
        largest: |logit|; of a mixture Σ |weight| · |logit|.
    """
    return max(TOLERANCE, _ORDER[dtype] * torch.finfo(dtype).eps / 2 * largest)


def verify_weights(
    partial: Path,
    tensors: Sequence[Planned],
    basis: Basis,
    coefficients: Coefficients,
    dtype: torch.dtype | None = None,
) -> None:
    """Read every written tensor back and compare it with a merge made again.

    Args:
        tensors: that must be there, and no others.

    Raises:
        NotWhatWasScored: a tensor is missing, unknown, or differs, with the first place.
    """
    merged = frozenset(basis.tensors.names)

    def fresh(name: str) -> Tensor:
        if name in merged:
            return merged_tensor(basis, name, coefficients(name), dtype).cpu()
        return basis.tensors.untouched(name)

    wanted = {each.name for each in tensors}
    for file in sorted(partial.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as reader:
            for name in reader.keys():  # noqa: SIM118 - a safetensors handle, not a dictionary
                if name not in wanted:
                    raise NotWhatWasScored(f"{file.name}: tensor {name} should not be there")
                said = unequal(reader.get_tensor(name), fresh(name))
                if said is not None:
                    raise NotWhatWasScored(f"{file.name}: tensor {name} {said}; {NOTHING_KEPT}")
                wanted.discard(name)
    if wanted:
        raise NotWhatWasScored(f"tensor {min(wanted)} was not written; {NOTHING_KEPT}")


NOTHING_KEPT = "nothing was kept"


def unequal(written: Tensor, merged: Tensor) -> str | None:
    """How a written tensor differs from the merged one, with the first place; None if equal."""
    if written.dtype != merged.dtype or written.shape != merged.shape:
        return (
            f"is {written.dtype} {tuple(written.shape)}, not {merged.dtype} {tuple(merged.shape)}"
        )
    if torch.equal(written, merged):
        return None
    differ = (written != merged).reshape(-1)
    first = int(differ.nonzero()[0]) if bool(differ.any()) else 0
    place = [int(each) for each in torch.unravel_index(torch.tensor(first), written.shape)]
    there, here = (each.reshape(-1)[first].item() for each in (written, merged))
    count = int(differ.sum())
    return f"is not what was merged: {there} for {here} at {place}, {count} places in all"


def apart(again: Tensor, live: Tensor) -> float:
    """Largest |difference| of two sets of logits; infinite where one of them is not a number."""
    found = float((again[..., : live.shape[-1]] - live).abs().max())
    return found if math.isfinite(found) else math.inf


def same(found: float, allowed: float, live: Live, what: str) -> float:
    """`found` where it is within `allowed`.

    Raises:
        NotWhatWasScored: it is beyond.
    """
    if found <= allowed:
        return found
    raise NotWhatWasScored(
        f"{live.out}: {what} logits differ by {found:.3g} from what was scored, where "
        f"{allowed:.2g} is allowed; {NOTHING_KEPT}"
    )


def reloaded(composer: Composer, place: Path, ids: Tensor) -> Tensor:
    """Logits of a written checkpoint as plain transformers loads it, float32.

    The copy lies on the composer's device, or in main memory where it has no room for two.
    """
    checkpoint = open_checkpoint(place, "export")
    try:
        module, _ = load_module(checkpoint, composer.device, composer.dtype, mapped=False)
    except torch.OutOfMemoryError:
        module, _ = load_module(checkpoint, torch.device("cpu"), composer.dtype, mapped=False)
    with torch.inference_mode():
        return module(input_ids=ids.to(module.device)).logits.float().to(ids.device)


def reloaded_adapter(
    composer: Composer, place: Path, ids: Tensor, rows: int | None = None
) -> Tensor:
    """Logits of the plain base with a written adapter as plain peft loads it, float32.

    Args:
        rows: of the vocabulary that the adapter was trained with, where it holds them: peft loads
            such an adapter onto a base that was resized first.
    """
    module, _ = load_module(composer.family.base, composer.device, composer.dtype, mapped=False)
    if rows is not None and rows != len(cast("Tensor", module.get_input_embeddings().weight)):
        module.resize_token_embeddings(rows, mean_resizing=False)
    alone = plain_adapter(module, place)
    with torch.inference_mode():
        return alone(input_ids=ids).logits.float()
