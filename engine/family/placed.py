"""Do a checkpoint's tensors fill a module of its class, and does every one have a use?

Names and shapes alone are looked at, so the module may be one on the meta device, made from
config.json in a second or two at any size, and the answer stands before a weight is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engine.family.checkpoint import Checkpoint
from engine.family.placement import Placement, place, state_of
from engine.family.untied import keep_apart

if TYPE_CHECKING:
    from transformers import PreTrainedModel

UNFIT = "Use config.json and weights of the same model."
_TIE = "Set tie_word_embeddings to the value used in training."

Misfit = tuple[str, str]
"""(what is wrong, what to do)."""


def read_config(checkpoint: Checkpoint) -> Any:
    """The checkpoint's configuration as transformers reads it."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(
        checkpoint.path, local_files_only=True, trust_remote_code=False
    )


def text_class(config: Any) -> Any:
    """The auto class of transformers that runs text from a configuration's checkpoint."""
    from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM

    causal = type(config) in AutoModelForCausalLM._model_mapping
    composite = type(config) in AutoModelForMultimodalLM._model_mapping
    return AutoModelForMultimodalLM if composite and not causal else AutoModelForCausalLM


def empty_module(checkpoint: Checkpoint) -> PreTrainedModel:
    """A module of the checkpoint's class without memory for its weights."""
    import torch

    config = read_config(checkpoint)
    with torch.device("meta"):
        module: PreTrainedModel = text_class(config).from_config(config)
    keep_apart(module, checkpoint)
    return module


def placement_of(module: PreTrainedModel, checkpoint: Checkpoint) -> Placement:
    """The place of every stored float tensor, copies of tied ones and ignored ones included."""
    names = {*checkpoint.weights, *checkpoint.tied_heads, *checkpoint.ignored}
    return place(module, {name: checkpoint.tensors[name].shape for name in names})


def misfits_of(found: Placement, module: PreTrainedModel, checkpoint: Checkpoint) -> list[Misfit]:
    """Everything in which the stored tensors and the module do not go together."""
    return list(_misfits(found, module, checkpoint))


def _misfits(found: Placement, module: PreTrainedModel, checkpoint: Checkpoint) -> Iterator[Misfit]:
    kind = type(module).__name__
    state = state_of(module)
    beside = checkpoint.ignored | checkpoint.towers
    unused = [name for name in found.unused if name not in beside]
    if unused:
        yield unused_misfit(unused, module)
    for name, target in found.targets():
        if name in checkpoint.ignored:
            yield f"tensor {name} is {target} of {kind}, which the class says it ignores", UNFIT
    for first, second in found.twice:
        yield f"{second} and {first} are one parameter of {kind}", "Keep only one of them."
    for name, why in found.failed:
        yield f"tensor {name} cannot be converted as {kind} needs it ({why})", UNFIT
    for name, part in found.parts.items():
        there = tuple(part.of(state[part.target]).shape)
        if checkpoint.tensors[name].shape != there:
            stored = list(checkpoint.tensors[name].shape)
            yield f"tensor {name} is {stored}, where {kind} has {list(there)}", UNFIT
    yield from _ties(found, state, checkpoint, kind)
    filled = {id(state[target]) for _, target in found.targets()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in filled and not _made_by_class(module, name):
            yield f"parameter {name} of {kind} is not stored under any name that maps to it", UNFIT
    if checkpoint.towers:
        yield from _towers(found, module, checkpoint, kind)


def unused_misfit(names: Sequence[str], module: PreTrainedModel) -> Misfit:
    """What is wrong where stored tensors have no use."""
    more = f" (nor are {len(names) - 1} more)" if len(names) > 1 else ""
    kind = type(module).__name__
    return f"tensor {names[0]} is not a parameter of {kind} as transformers loads it{more}", UNFIT


def _ties(
    found: Placement, state: dict[str, Any], checkpoint: Checkpoint, kind: str
) -> Iterator[Misfit]:
    """Stored tensors that are one parameter must be known as such, and the other way round."""
    tied = checkpoint.tied_heads
    claimed: dict[tuple[int, tuple[Any, ...]], str] = {}
    for name, part in found.parts.items():
        if name not in tied:
            first = claimed.setdefault((id(state[part.target]), part.cuts), name)
            if first != name:
                yield f"{name} and {first} are one parameter of {kind}", _TIE
    for name in tied:
        placed = found.parts.get(name)
        if placed is not None and (id(state[placed.target]), placed.cuts) not in claimed:
            what = f"config.json ties {name} to {checkpoint.embedding}, but they differ"
            yield what, _TIE


def _made_by_class(module: PreTrainedModel, name: str) -> bool:
    """Whether the class makes this parameter itself (tables of positions), by its own list."""
    patterns = module._keys_to_ignore_on_load_missing or ()
    return any(re.search(pattern, name) for pattern in patterns)


def _towers(
    found: Placement, module: PreTrainedModel, checkpoint: Checkpoint, kind: str
) -> Iterator[Misfit]:
    """What names say of a multimodal checkpoint against the module's own text part."""
    state = state_of(module)
    inside = [module.get_decoder(), module.get_output_embeddings(), module.get_input_embeddings()]
    text = {id(each) for part in inside if part is not None for each in state_of(part).values()}
    for name, target in found.targets():
        if (id(state[target]) in text) == (name in checkpoint.towers):
            there = "in" if id(state[target]) in text else "outside"
            what = f"tensor {name} is {there} the text part of {kind}, contrary to its name"
            yield what, "Merge the text models on their own."
