"""An adapter put onto its base: every layer that it names is there, and has the shape.

Still from headers alone. What lies as [in, out] in the base is decided as peft does, by the class
of the layer, never by `fan_in_fan_out`: the tables of `engine.family.peft_types` know which layers
of which models are Conv1D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.errors import BadInput, Problem
from engine.family.adapter import LoraPair
from engine.family.checkpoint import Checkpoint
from engine.family.fit import fit_of
from engine.family.headers import TensorInfo
from engine.family.peft_types import CONV1D
from engine.family.ties import EMBEDDINGS, HEADS, same_values

_BASE = "Name the base that this adapter was trained on."
_MERGED = "Merge it into a base with untied embeddings where it was trained; name that model."
_SHOWN = 4


class _Names:
    """Names of an adapter's file, found in the base: as they are, behind one other prefix, or as
    the class that renames on load calls them.
    """

    def __init__(self, base: Checkpoint) -> None:
        self._modules = {
            name.rsplit(".", depth)[0]
            for name in base.tensors
            for depth in range(1, name.count(".") + 1)
        }
        self._tensors = base.tensors
        self._base = base
        self._prefixes: dict[tuple[str, str], None] = {}
        self._live: dict[str, str] | None = None
        self._whole: set[str] = set()

    def module(self, name: str) -> str | None:
        return self._find(name, self._modules)

    def tensor(self, name: str) -> str | None:
        return self._find(name, self._tensors)

    def _renamed(self, name: str, tensor: bool) -> str | None:
        """The stored name of what the live module calls `name`, where its class renames on load."""
        if self._base.kind != "full":
            return None
        if self._live is None:
            spots = fit_of(self._base).spots
            self._live = {spot.partition("|")[0]: stored for stored, spot in spots.items()}
            self._whole = {spot[:-3] for spot in spots.values() if spot.endswith("|[]")}
        if tensor:
            return self._live[name] if name in self._whole else None
        weight = f"{name}.weight"
        if weight in self._whole and self._live[weight].endswith(".weight"):
            return self._live[weight].removesuffix(".weight")
        return name if any(each.startswith(f"{name}.") for each in self._live) else None

    def _find(self, name: str, known: Mapping[str, TensorInfo] | set[str]) -> str | None:
        if name in known:
            return name
        for less, more in self._prefixes:
            moved = more + name.removeprefix(less)
            if name.startswith(less) and moved in known:
                return moved
        close = [each for each in known if each.endswith("." + name) or name.endswith("." + each)]
        if len(close) != 1:
            return self._renamed(name, known is self._tensors)
        short = min(name, close[0], key=len)
        self._prefixes[name.removesuffix(short), close[0].removesuffix(short)] = None
        return close[0]


def place_adapter(base: Checkpoint, expert: Checkpoint) -> Checkpoint:
    """The adapter keyed by the base checkpoint's own tensor names.

    Raises:
        BadInput: a layer or tensor that the base lacks, a shape that differs, or embeddings that
            are one tensor in the base and would be two with the adapter.
    """
    adapter = expert.adapter
    assert adapter is not None
    names, where = _Names(base), f"{expert.name} ({expert.path})"
    unknown: list[str] = []
    problems: list[Problem] = []
    pairs: dict[str, LoraPair] = {}
    whole: dict[str, TensorInfo] = {}
    for name, pair in adapter.pairs.items():
        found = names.tensor(name)
        if found is None:
            unknown.append(pair.module)
            continue
        pair = replace(pair, transposed=_transposed(base, found, pair))
        if base.tensors[found].shape != pair.shape:
            theirs, ours = list(pair.shape), list(base.tensors[found].shape)
            what = f"its factors for {pair.module} make {theirs} but {found} of base is {ours}"
            problems.append(Problem(where, what, _BASE))
        elif found in pairs:
            what = f"{pair.module} and {pairs[found].module} are both {found} of base"
            problems.append(Problem(where, what, "Save the adapter again."))
        else:
            pairs[found] = pair
    if not adapter.plain:
        for module in adapter.modules:
            found = names.module(module)
            if found is None:
                unknown.append(module)
            elif adapter.config.form.bias and f"{found}.bias" not in base.tensors:
                what = f"it trains a bias of {module}, which has none in base"
                problems.append(Problem(where, what, "No merged model can hold it."))
    if adapter.config.settings.get("lora_bias"):
        bare = [m for m in adapter.modules if f"{names.module(m)}.bias" not in base.tensors]
        if bare:
            what = f"lora_bias is on, but {bare[0]} has no bias in base"
            problems.append(Problem(where, what, "No merged model can hold it."))
    for name, info in adapter.whole.items():
        found = names.tensor(name)
        if found is None and base.tied and HEADS.search(name):
            continue  # the input embedding by another name, or refused below
        if found is None:
            unknown.append(name)
            continue
        mine = base.tensors[found].shape
        rows = EMBEDDINGS.search(found) or HEADS.search(found)
        if info.shape != mine and not (rows and info.shape[1:] == mine[1:]):
            what = f"its {name} is {list(info.shape)} but {list(mine)} in base"
            problems.append(Problem(where, what, _BASE))
        whole[found] = info
    problems += _row_problems(base, whole, where) + _tied_problems(
        base, expert, names, whole, where
    )
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        what = f"it adapts the module {unknown[0]}{more}, which base does not have"
        problems.append(Problem(where, what, _BASE))
    if len(problems) > _SHOWN:
        rest = f"{len(problems) - _SHOWN + 1} more of its tensors do not fit"
        problems = [*problems[: _SHOWN - 1], Problem(where, rest, _BASE)]
    if problems:
        raise BadInput(*problems)
    return replace(expert, adapter=adapter.placed(pairs, whole))


def _transposed(base: Checkpoint, name: str, pair: LoraPair) -> bool:
    """Whether a tensor of the base lies as [in, out]; by its shape where that can be seen."""
    if pair.embedding:
        return True
    shape, straight = base.tensors[name].shape, (pair.b.shape[0], pair.a.shape[1])
    if straight[0] != straight[1]:
        return shape == straight[::-1] and shape != straight
    kind = base.config.get("model_type")
    if kind is None:  # a raw state dict says nothing of its classes
        return pair.transposed
    return name.removesuffix(".weight").rsplit(".", 1)[-1] in CONV1D.get(str(kind), ())


def _row_problems(base: Checkpoint, whole: Mapping[str, TensorInfo], where: str) -> list[Problem]:
    """A vocabulary that was resized in one place and not, or otherwise, in another."""
    known = [
        name
        for name in base.weights
        if base.tensors[name].shape
        and (EMBEDDINGS.search(name) or HEADS.search(name))
        and name not in base.tied_heads
    ]
    rows = {name: whole.get(name, base.tensors[name]).shape[0] for name in known}
    if len(set(rows.values())) < 2 or len({base.tensors[name].shape[0] for name in known}) > 1:
        return []
    first = next(name for name in known if name in whole)
    other = next(name for name in known if rows[name] != rows[first])
    what = f"with it {first} has {rows[first]} rows and {other} {rows[other]}"
    return [Problem(where, what, "Save the adapter with both (save_embedding_layers=True).")]


def _tied_problems(
    base: Checkpoint,
    expert: Checkpoint,
    names: _Names,
    whole: Mapping[str, TensorInfo],
    where: str,
) -> list[Problem]:
    """What would pull the base's one tensor for input and output apart."""
    adapter = expert.adapter
    assert adapter is not None
    if not base.tied:
        return []

    def at_end(module: str) -> bool:
        name = f"{module}.weight"
        return bool(EMBEDDINGS.search(name) or HEADS.search(name))

    touched = [module for module in adapter.modules if at_end(module)]
    heads = [name for name in adapter.tokens if HEADS.search(f"{name}.weight")]
    if touched or heads:
        what = (
            f"it adapts {[*touched, *heads][0]}, which in base is one tensor for input and output"
        )
        return [Problem(where, what, _MERGED)]
    inputs = [info for name, info in whole.items() if EMBEDDINGS.search(name)]
    outputs = [info for name, info in expert.tensors.items() if HEADS.search(name)]
    outputs = [info for info in outputs if not info.name.endswith("bias")]
    if not inputs and not outputs:
        return []
    if len(inputs) == len(outputs) == 1 and same_values(inputs[0], outputs[0]):
        return []
    what = "it holds input and output embeddings that differ; in base they are one tensor"
    return [Problem(where, what, _MERGED)]
