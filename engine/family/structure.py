"""Tensors against tensors: does an expert have what the base has, in the same shapes?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.errors import Problem
from engine.family.checkpoint import Checkpoint
from engine.family.classes import class_of
from engine.family.depth import layer_of, layers_of
from engine.family.headers import TensorInfo
from engine.family.ties import Ties, find_ties
from engine.family.vocabulary import VocabularyRows, combine_rows, is_vocabulary

_SAME = "Experts must be fine-tunes of this base."


@dataclass(frozen=True)
class Structure:
    """What weight space looks like for a family; see `Family` for the fields it fills.

    Attributes:
        rows: vocabulary rows of a merged model, 0 where no tensor has a row a token.
    """

    tensors: tuple[str, ...]
    vocabulary: Mapping[str, VocabularyRows]
    tied: Mapping[str, str]
    rows: int
    problems: tuple[Problem, ...] = field(default=())


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def align_names(base: Checkpoint, expert: Checkpoint) -> Checkpoint:
    """The expert under the base's tensor names, where all differ by one prefix ("transformer.").

    Some checkpoints store the inner model alone and some the whole; the tensors are the same. A
    model that is to be run may differ by its class's own prefix alone, which transformers adds or
    takes away; weights alone by any.
    """
    mine, theirs = base.weights, expert.weights
    if not mine or mine.keys() <= theirs.keys():
        return expert
    first = min(mine)
    known = class_of(str(expert.config.get("model_type")))
    allowed = None if known is None or expert.kind == "raw" else f"{known.prefix}."
    for key in theirs:
        if key.endswith("." + first):
            put, taken = "", key[: -len(first)]
        elif first.endswith("." + key):
            put, taken = first[: -len(key)], ""
        else:
            continue
        if allowed not in (None, put + taken):
            continue
        renamed = {put + each.removeprefix(taken): each for each in expert.tensors}
        tensors = {new: expert.tensors[old] for new, old in renamed.items()}
        if (
            len(tensors) == len(expert.tensors)
            and mine.keys() - set(base.tied_heads) <= tensors.keys()
        ):
            return replace(expert, tensors=tensors)
    return expert


def merge_structure(
    base: Checkpoint,
    experts: Mapping[str, Checkpoint],
    towers: bool = False,
    layers: bool = True,
) -> Structure:
    """Compare base and full experts tensor by tensor; the result carries what does not fit.

    Args:
        towers: merge the other towers of a multimodal checkpoint too; else they are the base's.
        layers: the numbers of layers have to be equal; else a model may end before another, and
            the tensors are those of all.
    """
    problems: list[Problem] = []
    whole = {name: each for name, each in experts.items() if not each.is_adapter}
    tied = dict(base.ties.copies)
    ties = {name: _ties_of(base, each) for name, each in whole.items()}
    if base.tied:
        for found in ties.values():
            tied |= found.copies
    mine = {key: info for key, info in _merged(base, towers).items() if key not in tied}
    rows = {
        name: {"base": info.shape[0]} for name, info in mine.items() if is_vocabulary(base, name)
    }
    for name, expert in whole.items():
        where = f"{name} ({expert.path})"
        if base.tied and not ties[name].tied:
            problems.append(Problem(where, _own_head(expert, ties[name]), _SAME))
            continue
        theirs = {key: info for key, info in _merged(expert, towers).items() if key not in tied}
        missing, extra = sorted(mine.keys() - theirs.keys()), sorted(theirs.keys() - mine.keys())
        if not layers:
            missing, _ = _parted(missing, layers_of(theirs))
            extra, deeper = _parted(extra, layers_of(mine))
            mine |= {key: theirs[key] for key in deeper}
        if missing:
            what = f"tensor {missing[0]}{_more(missing)} of base is missing"
            problems.append(Problem(where, what, _SAME))
        if extra:
            what = f"tensor {extra[0]}{_more(extra)} is not in base"
            problems.append(Problem(where, what, _SAME))
        wrong = []
        for key in sorted(mine.keys() & theirs.keys()):
            first, second = mine[key].shape, theirs[key].shape
            if key in rows and is_vocabulary(expert, key) and first[1:] == second[1:]:
                rows[key][name] = second[0]
            elif first != second:
                wrong.append(key)
        if wrong:
            first, second = mine[wrong[0]].shape, theirs[wrong[0]].shape
            what = f"tensor {wrong[0]}{_more(wrong)} is {list(second)} but {list(first)} in base"
            problems.append(Problem(where, what, _SAME))
    for name, expert in experts.items():
        if expert.adapter is not None:  # one may bring a resized vocabulary
            for key in rows.keys() & expert.adapter.whole.keys():
                rows[key][name] = expert.adapter.whole[key].shape[0]
    vocabulary = {name: combine_rows(each) for name, each in rows.items()}
    merged = max((each.merged for each in vocabulary.values()), default=0)
    return Structure(tuple(sorted(mine)), vocabulary, tied, merged, tuple(problems))


def _parted(names: list[str], layers: int) -> tuple[list[str], list[str]]:
    """Those outside the layers or in one of the first, and those of later layers."""
    first: list[str] = []
    later: list[str] = []
    for name in names:
        (later if (layer_of(name) or 0) >= layers > 0 else first).append(name)
    return first, later


def _merged(model: Checkpoint, towers: bool) -> dict[str, TensorInfo]:
    """The tensors that weight space is about, with the other towers or without."""
    if not towers:
        return {key: info for key, info in model.weights.items() if key not in model.towers}
    beside = {key: info for key, info in model.tensors.items() if key in model.towers}
    return model.weights | {key: info for key, info in beside.items() if info.is_float}


def _ties_of(base: Checkpoint, expert: Checkpoint) -> Ties:
    """The ties of an expert; a raw state dict, which cannot say, is tied as the base is."""
    if "raw" in (base.kind, expert.kind):
        return find_ties(base.config, expert.tensors, base.tied)
    return expert.ties


def _own_head(expert: Checkpoint, ties: Ties) -> str:
    base = "in base it is the input embedding"
    if not ties.own:
        return f"its output projection is a tensor of its own; {base}"
    said = "config.json ties it to the input embedding" if expert.config else "base ties it"
    return f"tensor {ties.own[0]} differs from its embedding, although {said}; {base}"


def align_heads(base: Checkpoint, expert: Checkpoint) -> Checkpoint:
    """The expert with its output projection under the name that the base has for it.

    A tied pair is one tensor, which a file may store under either name. An untied base has two,
    and an expert that is tied has its embedding for both.
    """
    tensors = dict(expert.tensors)
    mine = [*filter(None, (base.embedding,)), *base.heads]
    theirs = [*filter(None, (expert.embedding,)), *expert.heads]
    if not mine or not theirs or not _ties_of(base, expert).tied:
        return expert
    if not base.tied:
        for name in base.heads:
            tensors.setdefault(name, tensors[theirs[0]])
    elif mine[0] not in tensors:
        tensors[mine[0]] = tensors.pop(theirs[0])
    elif base.embedding is None and expert.embedding is not None:
        tensors.pop(expert.embedding)
    else:
        return expert
    return replace(expert, tensors=tensors)
