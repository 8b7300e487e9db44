"""The open family as text: its models, every check, the memory it needs.

From headers, configurations and tokenizers alone; no tensor is read. Computed once a bench.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from engine.counted import amount_text, counted, size_text
from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import Family
from engine.family.memory import Memory, memory_needed
from engine.family.settings import SIZES
from engine.family.tokenizer import TokenizerFiles, compare
from studio.workbench import Workbench

LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Check:
    """One check that was made.

    Attributes:
        results: what was found, a sentence a line.
        good: False if it is allowed but worth a look.
    """

    name: str
    results: tuple[str, ...]
    good: bool = True


def _layers(model: Checkpoint) -> str:
    return next((str(each) for each in map(model.setting, LAYERS) if each is not None), "–")


def _kind(name: str, model: Checkpoint) -> str:
    if name in ("base", "target"):
        return name
    return "expert, full" if model.adapter is None else f"expert, {model.adapter.label}"


def _architecture(model: Checkpoint) -> str:
    if model.adapter is None:
        return model.architecture
    if not model.adapter.plain:
        count = len(model.adapter.modules) or len(model.adapter.whole)
        return f"{model.adapter.label} on {counted(count, 'layer')}, merged by peft"
    ranks = sorted({pair.rank for pair in model.adapter.pairs.values()})
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    return f"LoRA of rank {rank} on {counted(len(model.adapter.pairs), 'tensor')}"


def table(family: Family) -> list[dict[str, Any]]:
    """A row a model, in the order of the family; an adapter's own parameters and bytes."""
    return [
        {
            "model": name,
            "kind": _kind(name, model),
            "architecture": _architecture(model),
            "parameters": amount_text(model.parameters),
            "size": size_text(model.bytes),
            "dtype": model.dtype,
            "layers": _layers(model),
            "vocabulary rows": str(model.rows or "–"),
            "directory": str(model.path),
        }
        for name, model in family.models.items()
    ]


def tokenizer_text(family: Family) -> str:
    """Whose tokenizer, chat template and end tokens every model of the family runs with."""
    text = f"Tokenizer, chat template and end tokens come from {family.spec.tokenizer}"
    if family.tokenizer is None:
        return f"{text}."
    ends = [repr(family.tokenizer.tokens.get(each, each)) for each in sorted(family.end_ids)]
    return f"{text} ({family.tokenizer.size} ids; a text ends at {', '.join(ends) or 'no token'})."


def _whole(family: Family) -> dict[str, Checkpoint]:
    return {name: each for name, each in family.experts.items() if not each.is_adapter}


def _architectures(family: Family) -> Check:
    base = family.base
    sizes = [f"{key} {base.setting(key)}" for key in SIZES if base.setting(key) is not None]
    results = [f"base: {base.architecture} ({', '.join(sizes)})."]
    results += [f"{name}: same class and sizes." for name in _whole(family)]
    if family.target is not None:
        results.append(
            f"target: {family.target.architecture}; any class works, since only its logits are "
            "used."
        )
    return Check("Architecture", tuple(results))


def _tensors(family: Family) -> Check:
    results = [f"base: {counted(len(family.tensors), 'tensor is', 'tensors are')} merged."]
    for name, model in family.experts.items():
        if model.adapter is None:
            results.append(f"{name}: same tensors as the base, with the same shapes.")
        elif not model.adapter.plain:
            said = counted(len(model.tensors), "tensor has its layer", "tensors have their layers")
            results.append(f"{name}: its {said} in base.")
        else:
            changed = len(model.adapter.pairs)
            results.append(
                f"{name}: its factors fit {counted(changed, 'tensor')} of the base in name "
                "and shape."
            )
    if family.tied:
        results.append("The output projection is the input embedding: merged once.")
    return Check("Tensors and shapes", tuple(results))


def _tokens(family: Family, tokenizers: dict[str, TokenizerFiles]) -> Check:
    results = []
    names = list(tokenizers)
    for name in names[1:]:
        first, own = tokenizers[names[0]], tokenizers[name]
        shared = len(first.tokens.keys() & own.tokens.keys())
        different = compare(first, own)
        assert different is None, different  # such a family does not open
        results.append(f"{name}: {shared} ids mean the same tokens as in {names[0]}.")
    missing = [name for name in family.models if name not in tokenizers]
    if missing:
        results.append(f"Without a tokenizer of their own, so not compared: {', '.join(missing)}.")
    return Check(
        "Token ids", tuple(results) or ("There is only one tokenizer, so nothing to compare.",)
    )


def _rows(family: Family) -> Check:
    own = [f"{name} {each.rows}" for name, each in family.models.items() if each.rows]
    results = [f"Rows: {', '.join(own)}."]
    extra = {each for plan in family.vocabulary_tensors.values() for each in plan.extra}
    for each in sorted(extra, key=lambda each: each.start):
        results.append(
            f"Rows {each.start} to {each.stop - 1}: only {each.model} has them; a merged model "
            "takes them unchanged."
        )
    for name, model in _whole(family).items():
        if 0 < model.rows < family.base.rows:
            results.append(f"{name} lacks rows from {model.rows} on; those count as the base's.")
    results.append(f"A merged model has {counted(family.merged_rows, 'row')}.")
    if family.rows != family.merged_rows:
        results.append(f"Fused logits use the first {family.rows}, which every model has.")
    return Check("Vocabulary rows", tuple(results))


def _dtypes(family: Family) -> Check:
    others = {n: e.dtype for n, e in _whole(family).items() if e.dtype != family.base.dtype}
    text = f"base: {family.base.dtype}; merged checkpoints are written in this dtype, rounded once."
    if not others:
        return Check("Dtype", (text,))
    listed = ", ".join(f"{name} {dtype}" for name, dtype in others.items())
    return Check("Dtype", (text, f"Stored differently: {listed}. Sums are float32 regardless."))


def _templates(family: Family, tokenizers: dict[str, TokenizerFiles]) -> Check:
    chosen = family.tokenizer.chat_template if family.tokenizer is not None else None
    owner = family.spec.tokenizer
    if chosen is None:
        text = f"{owner} has none: objectives with chat or messages cannot be measured."
        return Check("Chat template", (text,), good=False)
    own = [name for name, each in family.words.items() if each.template is not None]
    rest = f" but {', '.join(own)}, which has its own" if len(own) == 1 else ""
    rest = f" but {', '.join(own)}, which have their own" if len(own) > 1 else rest
    results = [f"{owner} has one; it is used for every model{rest}."]
    other = [
        name
        for name, each in tokenizers.items()
        if name not in own and each.chat_template is not None and each.chat_template != chosen
    ]
    if other:
        results.append(
            f"Another template of their own: {', '.join(other)}. "
            "They may answer better with the one they were trained with."
        )
    return Check("Chat template", tuple(results), good=not other)


def checks(family: Family) -> tuple[Check, ...]:
    """Every check that a family passed to be opened, with what it found."""
    tokenizers = {
        name: TokenizerFiles.open(each.path)
        for name, each in family.models.items()
        if each.kind != "raw" and TokenizerFiles.present(each.path)
    }
    found = [
        _architectures(family),
        _tensors(family),
        _tokens(family, tokenizers),
        _rows(family),
        _dtypes(family),
        _templates(family, tokenizers),
    ]
    if family.notes:
        found.append(Check("Worth knowing", family.notes, good=False))
    return tuple(found)


@dataclass(frozen=True)
class Need:
    """What a way of running models needs, beside what is there."""

    name: str
    memory: Memory
    what: str


def memory(family: Family, dtype: str) -> tuple[tuple[Need, ...], str]:
    """What each space needs at most, and what this machine has free.

    Args:
        dtype: the compute dtype of the worker.
    """
    found = memory_needed(family, BYTES.get(dtype, 4))
    there = found["available_bytes"]
    live, basis = size_text(found["live_bytes"]), size_text(found["basis_bytes"])
    rows = (
        ("Live merged model", found["live_bytes"], "all that task arithmetic and linear need"),
        (
            "Weight space at most",
            found["weight_space_bytes"],
            f"the live model ({live}) and a basis while it is made ({basis})",
        ),
        ("Logit space at most", found["logit_space_bytes"], "every model of the family at once"),
    )
    needs = tuple(Need(name, Memory(size, there), what) for name, size, what in rows)
    return needs, size_text(there)


_KNOWN: WeakKeyDictionary[Workbench, tuple[Check, ...]] = WeakKeyDictionary()


def checks_of(bench: Workbench) -> tuple[Check, ...]:
    """`checks` of a bench's family, made once."""
    found = _KNOWN.get(bench)
    if found is None:
        found = _KNOWN[bench] = checks(bench.family)
    return found


def computes(bench: Workbench) -> tuple[str, str]:
    """The worker's kind of device and its compute dtype; cpu and float32 until they are known."""
    if bench.known is None:
        return "cpu", "float32"
    device, dtype, *_ = bench.known.numerics.split("/")
    return device, dtype


def room_text(free: str, device: str) -> str:
    """How much memory is free, and whether that is the memory in which models run."""
    text = f"Free in this machine's main memory now: {free}."
    if device == "cpu":
        return text
    return f"{text} The models run on {device}; its own memory is not known here."


def finite_check(opened: bool) -> Check:
    """What is known about the values themselves, which headers do not show.

    Args:
        opened: whether the worker has read them all.
    """
    if opened:
        return Check("Values", ("Every value of every model is a finite number.",))
    return Check("Values", ("Not read yet: the worker opens the study.",), good=False)
