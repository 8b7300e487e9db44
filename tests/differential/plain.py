"""The other side of every comparison: plain transformers, one row at a time, no cache.

Nothing of the engine is imported. Merges are of tensors as they are stored, one by one, written
to a directory that transformers loads by itself.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.oracle import pcb_basis

TIE = 2e-4
"""Two float32 evaluations of one model may disagree about an argmax closer than this."""
_LAYER = re.compile(r".*?\.\d+\.")
"""The beginning of a parameter's name up to its layer."""


def load(place: Path) -> Any:
    """The model that transformers makes of a directory, in float32."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    kind = AutoConfig.from_pretrained(place, local_files_only=True).model_type
    auto = AutoModelForCausalLM if kind in CAUSAL else AutoModelForImageTextToText
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = auto.from_pretrained(place, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False)


class Fused:
    """Σ w l over several models."""

    def __init__(self, models: Sequence[Any], weights: Sequence[float], vocabulary: int) -> None:
        self.models, self.weights, self.vocabulary = models, weights, vocabulary

    def logits(self, ids: Sequence[int]) -> Tensor:
        total = sum(
            w * logits(each, ids) for w, each in zip(self.weights, self.models, strict=True)
        )
        assert isinstance(total, Tensor)
        total[:, self.vocabulary :] = -torch.inf
        return total


@torch.inference_mode()
def logits(model: Any, ids: Sequence[int]) -> Tensor:
    """float32 [len(ids), rows]: the whole text read at once, nothing kept."""
    if isinstance(model, Fused):
        return model.logits(ids)
    return model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float()


def log_probs(model: Any, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
    every = logits(model, [*prompt, *tokens]).log_softmax(-1)
    return [float(every[len(prompt) - 1 + i, token]) for i, token in enumerate(tokens)]


def greedy(model: Any, prompt: Sequence[int], count: int, ends: frozenset[int]) -> list[int]:
    """Argmax, step by step, the whole text read anew at each."""
    ids: list[int] = []
    while len(ids) < count:
        chosen = int(logits(model, [*prompt, *ids])[-1].argmax())
        if chosen in ends:
            break
        ids.append(chosen)
    return ids


def follows(
    model: Any, prompt: Sequence[int], said: Sequence[int], count: int, ends: frozenset[int]
) -> str | None:
    """Whether a text is the greedy one: None, or where it parts from it.

    One pass over prompt and text tells: as long as every token is the argmax after those before it,
    the loop says the same. Within `TIE` of the best, another token counts as the same, and what
    comes after it is the loop's from there.
    """
    table = logits(model, [*prompt, *said])[len(prompt) - 1 :]
    for step, token in enumerate(said):
        best = float(table[step].max())
        gap = best - float(table[step, token])
        if gap > TIE:
            return f"token {step} is {token}, {gap:.3g} below the best"
        if token in ends:
            return f"token {step} is an end token"
    if len(said) < count:
        last = table[-1]
        gap = float(last.max() - max(last[each] for each in ends))
        if gap > TIE:
            return f"it ends after {len(said)} tokens, {gap:.3g} below the best"
    return None


# ---- merges of stored tensors


def stored(place: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in sorted(place.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def beside_text(base: Path, ids: Sequence[int]) -> frozenset[str]:
    """Stored tensors of towers: those of parameters through which no gradient of a text flows, and
    buffers of modules that have no other.

    Of a configuration without a part for text, none. Parameters without a gradient are set to 0
    and saved by transformers: what is 0 then, in its names, is of a tower.
    """
    if "text_config" not in json.loads((base / "config.json").read_text(encoding="utf-8")):
        return frozenset()
    model = load(base)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits.sum().backward()
    with torch.no_grad(), tempfile.TemporaryDirectory() as place:
        for module in model.modules():
            reached = any(each.grad is not None for each in module.parameters())
            for buffer in module.buffers(recurse=False):
                buffer.fill_(reached)
        read = {name for name, each in model.named_parameters() if each.grad is not None}
        layers = {found[0] for name in read if (found := _LAYER.match(name))}
        for name, parameter in model.named_parameters():
            found = _LAYER.match(name)  # what picks keys has no gradient, its layer has
            parameter.fill_(name in read or (found is not None and found[0] in layers))
        model.save_pretrained(place)
        return frozenset(name for name, each in stored(Path(place)).items() if not each.any())


def merged(
    base: Path,
    experts: Mapping[str, Path],
    method: str,
    coefficients: Mapping[str, float],
    kept: frozenset[str] = frozenset(),
) -> dict[str, Tensor]:
    """Stored name -> merged tensor, each by its formula in float64 and rounded once.

    Args:
        kept: names that stay the base's.
    """
    zero = stored(base)
    others = {name: stored(place) for name, place in experts.items()}
    names = sorted(n for n, each in zero.items() if each.is_floating_point() and n not in kept)
    taus = {
        expert: {name: _change(zero[name], tensors[name]) for name in names}
        for expert, tensors in others.items()
    }
    weights = dict(coefficients)
    if method == "pcb":
        flat = torch.stack(
            [torch.cat([t[n].float().flatten() for n in names]) for t in taus.values()]
        )
        basis, _, _ = pcb_basis(flat)
        for expert, row in zip(taus, basis, strict=True):
            parts = row.double().split([zero[name].numel() for name in names])
            taus[expert] = {n: p.reshape(zero[n].shape) for n, p in zip(names, parts, strict=True)}
    if method == "linear":
        total = sum(weights.values())
        weights = {name: value / total for name, value in weights.items() if name != "base"}
    result = dict(zero)
    for name in names:
        change = sum(weights.get(expert, 0.0) * taus[expert][name] for expert in taus)
        result[name] = (zero[name].double() + change).to(zero[name].dtype)
        for tensors in others.values():  # rows that only an expert has are the expert's
            if tensors[name].ndim and len(tensors[name]) > len(result[name]):
                more = tensors[name][len(result[name]) :]
                result[name] = torch.cat([result[name], more])
    return result


def _change(zero: Tensor, expert: Tensor) -> Tensor:
    """Expert − base in float64; 0 in rows that the expert lacks."""
    change = torch.zeros_like(zero, dtype=torch.float64)
    both = slice(min(len(zero), len(expert))) if zero.ndim else ()
    change[both] = expert[both].double() - zero[both].double()
    return change


def write(base: Path, tensors: Mapping[str, Tensor], place: Path) -> Path:
    """The base's directory with other tensors."""
    place.mkdir(parents=True)
    for file in base.iterdir():
        if file.suffix == ".json" and "index" not in file.name:
            shutil.copyfile(file, place / file.name)
    save_file(
        {name: each.contiguous() for name, each in tensors.items()},
        place / "model.safetensors",
        metadata={"format": "pt"},
    )
    return place


def end_tokens(place: Path) -> frozenset[int]:
    """Union of generation_config and config, and the tokenizer's own."""
    found: set[int] = {2}
    for name in ("generation_config.json", "config.json"):
        value = json.loads((place / name).read_text(encoding="utf-8")).get("eos_token_id")
        found |= set(value) if isinstance(value, list) else {value}
    return frozenset(found - {None})
