"""An adapter put onto its base: every layer that it names is there, and has the shape.

Still from headers alone. What lies as [in, out] in the base is decided as peft does, by the class
of the layer, never by `fan_in_fan_out`: the tables of `engine.family.peft_types` know which layers
of which models are Conv1D.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from engine.errors import BadInput, Problem, bad
from engine.family.adapter import LoraPair
from engine.family.adapter_patterns import pattern_problems
from engine.family.adapter_sizes import size_problems
from engine.family.checkpoint import Checkpoint, Kind
from engine.family.headers import TensorInfo
from engine.family.live_names import LiveNames
from engine.family.peft_types import CONV1D
from engine.family.ties import EMBEDDINGS, HEADS, pairs_of, same_values
from engine.family.unfit_layers import unfit

_BASE = "Use the base that this adapter was trained on."
_MERGED = "Merge it, where it was trained, into a base with untied embeddings, and use that model."
_TRAIN = "Train it on other layers."
_SHOWN = 4


def place_adapter(base: Checkpoint, expert: Checkpoint) -> Checkpoint:
    """The adapter keyed by the base checkpoint's own tensor names.

    Raises:
        BadInput: a layer or tensor that the base lacks, a shape that differs, or embeddings that
            are one tensor in the base and would be two with the adapter.
    """
    adapter = expert.adapter
    assert adapter is not None
    names, where = LiveNames(base), f"{expert.name} ({expert.path})"
    file = expert.path / "adapter_config.json"
    unknown: list[str] = []
    problems: list[Problem] = []
    pairs: dict[str, LoraPair] = {}
    whole: dict[str, TensorInfo] = {}
    together = False
    lora = adapter.config.type == "LORA" and not adapter.config.settings.get("target_parameters")
    for pair in adapter.pairs.values():
        live = names.layer(pair.module)
        if live is None:
            unknown.append(pair.module)
            continue
        if reason := unfit(base, live, lora):
            problems.append(Problem(where, f"it adapts {live}: {reason}", _TRAIN))
            continue
        found = names.stored(f"{live}.weight")
        if not found:  # the class makes this layer out of several stored tensors: peft merges it
            together = True
            continue
        placed = replace(pair, module=live, transposed=_transposed(base, found, pair))
        if base.tensors[found].shape != placed.shape:
            theirs, ours = list(placed.shape), list(base.tensors[found].shape)
            what = f"its factors for {pair.module} make {theirs} but {found} of base is {ours}"
            problems.append(Problem(where, what, _BASE))
        elif found in pairs:
            what = f"{pair.module} and {pairs[found].module} are both {found} of base"
            problems.append(Problem(where, what, "Save the adapter again."))
        else:
            pairs[found] = placed
    if not adapter.plain:
        for module in adapter.modules:
            live = names.holder(module)
            if live is None:
                unknown.append(module)
            elif reason := unfit(base, live, lora):
                problems.append(Problem(where, f"it adapts {live}: {reason}", _TRAIN))
            elif adapter.config.form.bias and not names.has_bias(module):
                what = f"it trains a bias of {module}, which has none in base"
                problems.append(Problem(where, what, "A merged model cannot hold it."))
        problems += size_problems(base, adapter, expert.tensors, names, where)
    if adapter.config.settings.get("lora_bias"):
        bare = [module for module in adapter.modules if not names.has_bias(module)]
        if bare:
            what = f"lora_bias is on, but {bare[0]} has no bias in base"
            problems.append(Problem(where, what, "A merged model cannot hold it."))
    for name, info in adapter.whole.items():
        live = names.tensor(name)
        found = "" if live is None else names.stored(live)
        if not found and base.tied and HEADS.search(name):
            continue  # the input embedding by another name, or refused below
        if not found:
            unknown.append(name)
            continue
        mine = base.tensors[found].shape
        rows = EMBEDDINGS.search(name) or HEADS.search(name)
        if info.shape != mine and not (rows and info.shape[1:] == mine[1:]):
            what = f"its {name} is {list(info.shape)} but {list(mine)} in base"
            problems.append(Problem(where, what, _BASE))
        if same_values(info, base.tensors[found]):
            continue  # peft saves an embedding that it adapts beside its factors, as it was
        whole[found] = info
    problems += pattern_problems(adapter.config.settings, module_names(base, adapter.modules), file)
    problems += _row_problems(base, whole, where) + _tied_problems(base, expert, names, where)
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        what = f"it adapts the module {unknown[0]}{more}, which base does not have"
        problems.append(Problem(where, what, _BASE))
    if len(problems) > _SHOWN:
        rest = f"{len(problems) - _SHOWN + 1} more of its tensors do not fit"
        problems = [*problems[: _SHOWN - 1], Problem(where, rest, _BASE)]
    if problems:
        raise BadInput(*problems)
    if together or whole:
        pairs = {}
    if base.kind == "raw" and not pairs:
        what = f"peft has to merge this {adapter.label}, and a raw state dict does not name a class"
        raise bad(where, what, "Give the base as a Hugging Face directory.")
    kind: Kind = "lora" if pairs else "adapter"
    return replace(expert, kind=kind, adapter=adapter.placed(pairs, whole))


def module_names(base: Checkpoint, more: Iterable[str]) -> list[str]:
    """Names of modules, as far as the stored tensors tell them."""
    found = dict.fromkeys(more)
    for name in base.tensors:
        parts = name.split(".")
        found |= dict.fromkeys(".".join(parts[:size]) for size in range(1, len(parts) + 1))
    return list(found)


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
    names: LiveNames,
    where: str,
) -> list[Problem]:
    """What would pull the base's one tensor for input and output apart."""
    adapter = expert.adapter
    assert adapter is not None
    if not base.tied:
        return []

    ends = {each for pair in pairs_of(base.config).items() for each in pair}

    def at_end(module: str) -> bool:
        name = f"{module}.weight"
        live = f"{names.layer(module)}.weight"
        return bool(live in ends or EMBEDDINGS.search(name) or HEADS.search(name))

    touched = [module for module in adapter.modules if at_end(module)]
    heads = [name for name in adapter.tokens if HEADS.search(f"{name}.weight")]
    if touched or heads:
        what = (
            f"it adapts {[*touched, *heads][0]}, which in base is one tensor for input and output"
        )
        return [Problem(where, what, _MERGED)]
    mine = base.tensors.get(base.embedding or "")
    new = [
        name
        for name, info in expert.tensors.items()
        if (EMBEDDINGS.search(name) or HEADS.search(name))
        and name.endswith(".weight")
        and (mine is None or not same_values(info, mine))
    ]
    if not new:
        return []
    if len(new) == 2 and same_values(*(expert.tensors[name] for name in new)):
        return []
    what = "it holds input and output embeddings that differ; in base they are one tensor"
    return [Problem(where, what, _MERGED)]
