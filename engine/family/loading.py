"""The module that runs a checkpoint, and where in it each stored tensor lies.

transformers loads; placing the stored tensors (`engine.family.placement`) must give what it loaded.
Where it does not, or where a stored tensor is not used at all, the model is refused by name,
because a merge would otherwise write into the wrong place or leave a part of an expert out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import torch

from engine.errors import BadInput, bad
from engine.family.checkpoint import Checkpoint, is_computed
from engine.family.placement import Group, Placement, place, state_of
from engine.family.text import first_line
from engine.family.unmerged import tower_names
from engine.family.untied import untied_config
from engine.family.weights import Reader

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LOADING_ERRORS = (
    ValueError,
    KeyError,
    OSError,
    ImportError,
    RuntimeError,
    TypeError,
    AttributeError,
)
_SUPPORTED = "Take config.json and weights of the same model."


def load_module(
    checkpoint: Checkpoint,
    device: str | torch.device,
    dtype: torch.dtype,
    *,
    mapped: bool = True,
) -> tuple[PreTrainedModel, Placement]:
    """The transformers model of a full checkpoint, and where in it each stored tensor lies.

    The model is in eval mode, without gradients, from local files only, without code of the
    checkpoint's own. A multimodal checkpoint is loaded whole; given token ids alone it runs as a
    language model.

    Args:
        mapped: find the places of the stored tensors; a model that only runs needs none and gets an
            empty placement.

    Raises:
        BadInput: transformers does not know the model, tensors that it needs are not in the
            checkpoint, a stored tensor is not used, or is not found again in the model.
    """
    if checkpoint.kind != "full":
        raise ValueError(
            f"{checkpoint.name}: a {checkpoint.kind} checkpoint is not a model by itself"
        )
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    where = f"{checkpoint.name} ({checkpoint.path})"
    auto = text_class(checkpoint)

    def load(attention: str) -> Any:
        return auto.from_pretrained(
            checkpoint.path,
            config=untied_config(checkpoint),
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )

    try:
        try:
            model, report = load("sdpa")
        except (
            ValueError
        ) as error:  # a few classes have no sdpa; theirs is then the plain attention
            if "sdpa" not in str(error) and "scaled_dot_product" not in str(error):
                raise
            model, report = load("eager")
    except _LOADING_ERRORS as error:
        what = f"transformers cannot load it ({first_line(error)})"
        raise bad(where, what, "Use a class that transformers has itself.") from error
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        what = (
            f"tensor {missing[0]} (of {len(missing)}) that {type(model).__name__} needs is missing"
        )
        raise bad(where, what, "Download the checkpoint again.")
    unused = sorted(
        each for each in report.get("unexpected_keys") or () if _counts(each, checkpoint)
    )
    if unused:
        raise _unused(unused, model, where)
    model.eval().requires_grad_(False)
    placement = place_stored(model, checkpoint) if mapped else Placement({}, ())
    return model.to(device), placement


def text_class(checkpoint: Checkpoint) -> Any:
    """The auto class of transformers that runs text from this checkpoint.

    Raises:
        BadInput: transformers cannot read config.json.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM

    try:
        config = AutoConfig.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
    except _LOADING_ERRORS as error:
        what = f"transformers cannot load it ({first_line(error)})"
        where = f"{checkpoint.name} ({checkpoint.path})"
        raise bad(where, what, "Use a class that transformers has itself.") from error
    causal = type(config) in AutoModelForCausalLM._model_mapping
    composite = type(config) in AutoModelForMultimodalLM._model_mapping
    return AutoModelForMultimodalLM if composite and not causal else AutoModelForCausalLM


def place_stored(module: PreTrainedModel, checkpoint: Checkpoint) -> Placement:
    """The place of every stored float tensor in a module that was loaded from the checkpoint.

    A stored output projection that the module ties to the embedding is left out, and so is what the
    class ignores. First and last rows of every tensor are compared with the module's, and converted
    groups in full, so that a permuted weight does not pass for the stored one.

    Raises:
        BadInput: a stored tensor is not used, placing the stored tensors gives something else than
            transformers loaded, or the module has a parameter that is not stored.
    """
    where = f"{checkpoint.name} ({checkpoint.path})"
    kind = type(module).__name__
    state = state_of(module)
    tied = checkpoint.tied_heads
    beside = checkpoint.ignored | checkpoint.towers
    with Reader(checkpoint) as reader:
        names = (*reader.names, *tied, *checkpoint.ignored)
        found = place(module, {name: checkpoint.tensors[name].shape for name in names})
        unused = [name for name in found.unused if name not in beside]
        if unused:
            raise _unused(unused, module, where)
        for name, target in found.targets():
            if name in checkpoint.ignored:
                what = f"tensor {name} is {target} of {kind}, which says that it ignores it"
                raise bad(where, what, _SUPPORTED)
        for first, second in found.twice:
            what = f"{second} and {first} are one parameter of {kind}"
            raise bad(where, what, "Keep one of the two.")
        for name, why in found.failed:
            what = f"tensor {name} cannot be converted as {kind} needs it ({why})"
            raise bad(where, what, _SUPPORTED)
        for name, part in found.parts.items():
            if not _same(reader, name, part.of(state[part.target])):
                what = f"tensor {name} is changed while {kind} is loaded"
                raise bad(where, what, _SUPPORTED)
        for group in found.groups:
            if not _same_group(reader, group, module, state):
                what = f"tensor {group.names[0]} is changed while {kind} is loaded"
                raise bad(where, what, _SUPPORTED)
    claimed: dict[tuple[int, tuple[Any, ...]], str] = {}
    for name, part in found.parts.items():
        if name not in tied:
            spot = (id(state[part.target]), part.cuts)
            if spot in claimed:
                what = f"{name} and {claimed[spot]} are one parameter of {kind}"
                raise bad(where, what, "Set tie_word_embeddings to what was trained.")
            claimed[spot] = name
    for name in tied:
        if (id(state[found.parts[name].target]), ()) not in claimed:
            what = f"config.json ties {name} to {checkpoint.embedding}, but they differ"
            raise bad(where, what, "Set tie_word_embeddings to what was trained.")
    filled = {id(state[target]) for _, target in found.targets()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in filled and not _made_by_class(module, name):
            what = f"parameter {name} of {kind} is stored under no name that leads to it"
            raise bad(where, what, _SUPPORTED)
    if checkpoint.towers:
        _check_towers(found, module, checkpoint)
    return replace(found, parts={k: v for k, v in found.parts.items() if k not in tied})


def _unused(names: Sequence[str], module: PreTrainedModel, where: str) -> BadInput:
    more = f" (nor are {len(names) - 1} more)" if len(names) > 1 else ""
    kind = type(module).__name__
    what = f"tensor {names[0]} is not a parameter of {kind} as transformers loads it{more}"
    return bad(where, what, _SUPPORTED)


def _counts(key: str, checkpoint: Checkpoint) -> bool:
    """Whether a key that transformers did not use holds numbers that the model would need.

    Args:
        key: as transformers renamed it, which is nearly always as it is stored.
    """
    info = checkpoint.tensors.get(key) or checkpoint.tensors.get(key.partition(".")[2])
    if info is None:
        return not tower_names(checkpoint.config, (*checkpoint.tensors, key)) & {key}
    counted = info.is_float and not is_computed(info)
    return counted and info.name not in checkpoint.towers | checkpoint.ignored


def _check_towers(found: Placement, module: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Compare what names say of a multimodal checkpoint with the module's own text part.

    Raises:
        BadInput: a tensor is of the text part by its name and not in the module, or the other way.
    """
    state = state_of(module)
    inside = [module.get_decoder(), module.get_output_embeddings(), module.get_input_embeddings()]
    text = {id(each) for part in inside if part is not None for each in state_of(part).values()}
    for name, target in found.targets():
        if (id(state[target]) in text) == (name in checkpoint.towers):
            where = f"{checkpoint.name} ({checkpoint.path})"
            kind = type(module).__name__
            there = "in" if id(state[target]) in text else "outside"
            what = f"tensor {name} lies {there} the text part of {kind}, where its name says not"
            raise bad(where, what, "Merge the text models by themselves.")


def _made_by_class(module: PreTrainedModel, name: str) -> bool:
    """Whether the class makes this parameter itself (tables of positions), by its own list."""
    patterns = module._keys_to_ignore_on_load_missing or ()
    return any(re.search(pattern, name) for pattern in patterns)


def _same(reader: Reader, name: str, there: torch.Tensor) -> bool:
    """Whether shape, first and last row of a stored tensor are those in the module."""
    info = reader.checkpoint.tensors[name]
    if info.shape != tuple(there.shape):
        return False
    if not info.count:
        return True
    there = there.detach()
    if len(info.shape) == 0:
        return torch.equal(reader.read(name).to(there.dtype), there.cpu())
    for row in (0, info.shape[0] - 1):
        stored = reader.read(name, slice(row, row + 1)).to(there.dtype)
        if not torch.equal(stored, there[row : row + 1].cpu()):
            return False
    return True


def _same_group(
    reader: Reader, group: Group, module: PreTrainedModel, state: dict[str, torch.Tensor]
) -> bool:
    """Whether converting the stored tensors of a group gives what the module has."""
    there = state[group.key]
    stored = {name: reader.read(name).to(there.device, there.dtype) for name in group.names}
    made = group.convert(stored, module)
    return all(
        key in state and torch.equal(each.to(state[key].dtype), state[key].detach())
        for key, each in made.items()
    )
