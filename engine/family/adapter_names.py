"""The names in an adapter file, in one spelling.

peft strips the adapter's name and wraps every name once; files saved in other ways differ:

    base_model.model.base_model.model.layers.0.q_proj.lora_A.weight      wrapped twice
    base_model.model.layers.0.q_proj.lora_A.default.weight               the adapter's name inside
    layers.0.q_proj.lora_A.weight                                        not wrapped
    base_model.model.layers.0.q_proj.lora_A                              without .weight
    module._orig_mod.base_model…                                         other wrappers

All of them, and combinations, become `layers.0.q_proj.lora_A.weight`. What all layers share keeps
`base_model.` in front, as peft has it, and cannot be mistaken for a layer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.family.peft_types import BARE, LAYER, NUMBERED, TOKENS, PeftType

_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module"})
_SAVED = "modules_to_save"
_KEPT = "original_module"
_ENDS = frozenset({"weight", "bias"})


@dataclass(frozen=True)
class AdapterName:
    """One tensor of an adapter file.

    Attributes:
        name: in the one spelling.
        module: the layer it belongs to, without `base_layer`; "" for what layers share.
        part: the tensor's role in its type of adapter; "" for a tensor that takes the place of one
            of the base's, which is then `name`.
        kept: an untouched copy of a module beside its retrained one: peft never runs it.
    """

    name: str
    module: str
    part: str
    kept: bool = False


def read_names(
    names: Iterable[str], kind: PeftType
) -> tuple[dict[str, AdapterName], tuple[str, ...]]:
    """Every name of a file that can be told, and the names of the adapters found inside names.

    A name that is missing in the result belongs to no type of adapter of this kind.
    """
    split = {name: _unwrapped(name) for name in names}
    inside = tuple(sorted({found for parts in split.values() if (found := _inside(parts, kind))}))
    adapter = inside[0] if len(inside) == 1 else ""
    read = {name: _read(parts, kind, adapter) for name, parts in split.items()}
    return {name: each for name, each in read.items() if each is not None}, inside


def _unwrapped(name: str) -> list[str]:
    parts = [each for each in name.split(".") if each not in _WRAPPERS]
    while True:
        if parts[:2] == ["base_model", "model"]:
            parts = parts[2:]
        elif parts[:1] == ["module"]:
            parts = parts[1:]
        else:
            return parts


def _forms(kind: PeftType) -> Mapping[str, int]:
    return {**kind.parts, **TOKENS}


def _place(parts: list[str], kind: PeftType) -> tuple[int, int] | None:
    """(index of the role in a name, its form); None for a tensor without one."""
    start = 1 if parts[:1] == ["base_model"] else 0
    if len(parts) > start and parts[start] in kind.shared:
        return start, kind.shared[parts[start]]
    forms = _forms(kind)
    for index in range(1, len(parts)):
        if parts[index] in forms:
            return index, forms[parts[index]]
    return None


def _inside(parts: list[str], kind: PeftType) -> str:
    """The adapter's name where it stands in a tensor's name, else ""."""
    place = _place(parts, kind)
    if place is None:
        return ""
    index, form = place
    rest = parts[index + 1 :]
    if form == LAYER and len(rest) == 1:
        return "" if rest[0] in _ENDS else rest[0]
    if form == BARE and rest in (["weight"], ["bias"]):
        return ""
    if len(rest) != _depth(form) + 1 and not (form == BARE and len(rest) == 2):
        return ""
    # of what is shared by category, the category comes first
    return rest[-1] if parts[index].startswith("frod_") and form != BARE else rest[0]


def _depth(form: int) -> int:
    return {BARE: 0, NUMBERED: 2}.get(form, 1)


def _read(parts: list[str], kind: PeftType, adapter: str) -> AdapterName | None:
    place = _place(parts, kind)
    if place is None:
        return _whole(parts, adapter)
    index, form = place
    rest = parts[index + 1 :]
    if adapter in rest and len(rest) > (0 if form == BARE else _depth(form) - (form == LAYER)):
        rest.remove(adapter)
    if form == LAYER and not rest:
        rest = ["weight"]
    if form == BARE and rest == ["weight"]:
        rest = []
    if len(rest) != _depth(form) or (form == LAYER and rest[0] not in _ENDS):
        return None
    if index == 0 or (index == 1 and parts[0] == "base_model" and parts[1] in kind.shared):
        return AdapterName(".".join(["base_model", parts[index], *rest]), "", parts[index])
    holder = parts[:index]
    module = [each for each in holder if each not in ("base_layer", "token_adapter")]
    name = ".".join([*(each for each in holder if each != "token_adapter"), parts[index], *rest])
    return AdapterName(name, ".".join(module), parts[index])


def _whole(parts: list[str], adapter: str) -> AdapterName | None:
    """A tensor that takes the place of one of the base's."""
    if len(parts) < 2 or parts[0] == "base_model":
        return None
    kept = _KEPT in parts
    if _SAVED in parts:
        index = parts.index(_SAVED)
        rest = parts[index + 1 :]
        if (adapter and rest[:1] == [adapter]) or (len(rest) == 2 and rest[0] == "default"):
            rest = rest[1:]
        parts = [*parts[:index], *rest]
    parts = [each for each in parts if each not in ("base_layer", _KEPT)]
    if len(parts) < 2:
        return None
    return AdapterName(".".join(parts), ".".join(parts[:-1]), "", kept)
