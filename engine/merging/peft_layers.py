"""Adapters in peft's layers, filled from our own reading of their files.

peft's own loading ignores keys that it does not expect and leaves what it misses as it was drawn.
Here the layers are made for what the file holds, filled with it, and read back: what is not in its
place is an error. Adapters carry names of ours inside, so an expert may be called anything.

    plain LoRA   many on one module, each with the scale that its configuration gives
    any other    one on one module, configured as its file says, resized where it was resized

peft is imported where an adapter is met: it costs a worker's start more than torch does.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from engine.errors import BadInput, bad
from engine.family.adapter_patterns import pattern_problems
from engine.family.checkpoint import Checkpoint
from engine.family.products import as_torch_made_it
from engine.family.text import first_line
from engine.family.ties import EMBEDDINGS
from engine.family.weights import Reader

if TYPE_CHECKING:
    from peft import LoraConfig, PeftConfig, PeftModel
    from peft.tuners.lora import LoraLayer
    from transformers import PreTrainedModel

OURS = "mixture"
"""The name of an adapter that is alone on its module."""

_WRAPPED = "base_model.model."
_FIX = "Merge it where it was trained, save the merged model, and use that as a full expert."
_INNER = ("base_layer", "token_adapter")
PEFT_ERRORS = (
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ImportError,
    IndexError,
    AssertionError,
)


@contextmanager
def quietly() -> Iterator[None]:
    """Silences peft's training advice, which users of a trained adapter cannot act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def find_live(name: str, known: Mapping[str, Any]) -> str | None:
    """Find an adapter file's name among a module's: itself, or else under another prefix."""
    if name in known:
        return name
    close = [each for each in known if each.endswith("." + name) or name.endswith("." + each)]
    return close[0] if len(close) == 1 else None


def add_plain(
    onto: PreTrainedModel | PeftModel, expert: Checkpoint, name: str
) -> tuple[PeftModel, dict[str, float]]:
    """Add a plain LoRA to a module that may already have adapters.

    Args:
        name: of ours, for the layers.

    Returns:
        The wrapped module, and live layer -> the scale of the adapter there.

    Raises:
        BadInput: a layer that the live module does not have, or that peft does not adapt.
    """
    from peft import PeftModel

    assert expert.adapter is not None
    model = cast("nn.Module", onto.base_model.model if isinstance(onto, PeftModel) else onto)
    known = {
        each.removesuffix(".base_layer"): layer
        for each, layer in model.named_modules()
        if not any(part.startswith("lora_") for part in each.split("."))
    }
    layers = {}
    for tensor, pair in expert.adapter.pairs.items():
        live = find_live(tensor.removesuffix(".weight"), known) or find_live(pair.module, known)
        if live is None:
            what = f"it adapts {pair.module}, which {type(model).__name__} has no layer for"
            raise bad(f"{expert.name} ({expert.path})", what, _FIX)
        layers[live] = pair
    config = lora_config({live: (pair.rank, float(pair.rank)) for live, pair in layers.items()})
    try:
        with quietly(), as_torch_made_it(model):
            if isinstance(onto, PeftModel):
                wrapped = onto
                wrapped.add_adapter(name, config)
            else:
                wrapped = PeftModel(onto, config, adapter_name=name)
    except PEFT_ERRORS as error:
        what = f"peft cannot attach it to {type(model).__name__} ({first_line(error)})"
        raise bad(f"{expert.name} ({expert.path})", what, _FIX) from error
    reader = Reader(expert)
    with torch.no_grad():
        for live, pair in layers.items():
            layer = cast("Any", wrapped).base_model.model.get_submodule(live)
            a, b = reader.stored(pair.a), reader.stored(pair.b)
            if pair.embedding:
                layer.lora_embedding_A[name].copy_(a)
                layer.lora_embedding_B[name].copy_(b)
            else:
                layer.lora_A[name].weight.copy_(a)
                layer.lora_B[name].weight.copy_(b)
    reader.close()
    return wrapped, {live: pair.scale for live, pair in layers.items()}


def lora_config(layers: Mapping[str, tuple[int, float]], **more: Any) -> LoraConfig:
    """peft's configuration of a plain LoRA on exactly these layers.

    Args:
        layers: layer -> (rank, alpha).
    """
    from peft import LoraConfig

    ranks = [rank for rank, _ in layers.values()]
    rank = max(set(ranks), key=lambda each: (ranks.count(each), each))
    alphas = [alpha for _, alpha in layers.values()]
    alpha = max(set(alphas), key=lambda each: (alphas.count(each), each))
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=cast("int", int(alpha) if alpha == int(alpha) else alpha),
        target_modules=sorted(layers),
        rank_pattern={f"^{re.escape(n)}": r for n, (r, _) in layers.items() if r != rank},
        alpha_pattern={f"^{re.escape(n)}": a for n, (_, a) in layers.items() if a != alpha},
        lora_dropout=0.0,
        inference_mode=True,
        **more,
    )


def resized_rows(expert: Checkpoint) -> int | None:
    """Vocabulary rows of an embedding that an adapter holds whole; None if it holds none."""
    assert expert.adapter is not None
    whole = expert.adapter.whole.items()
    return next((info.shape[0] for name, info in whole if EMBEDDINGS.search(name)), None)


def attach(module: PreTrainedModel, expert: Checkpoint) -> PeftModel:
    """Attach one adapter of any usable type to a module, as peft loads it.

    The module is changed in place: layers are wrapped, a vocabulary that the adapter resized is
    resized, and a start that moves the base (PiSSA, OLoRA) moves it.

    Raises:
        BadInput: peft does not load it, or its layers and the tensors of the file do not match.
    """
    from peft import PeftModel, set_peft_model_state_dict

    assert expert.adapter is not None
    where = f"{expert.name} ({expert.path})"
    rows = resized_rows(expert)
    try:
        with quietly(), as_torch_made_it(module), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            now = len(cast("Tensor", module.get_input_embeddings().weight))
            if rows is not None and rows != now:
                module.resize_token_embeddings(rows, mean_resizing=False)
            wrapped = PeftModel(module, _config(module, expert), adapter_name=OURS)
            given = _fitted(wrapped, expert)
            report = cast("Any", set_peft_model_state_dict(wrapped, given, adapter_name=OURS))
            cast("Any", wrapped.base_model)._cast_adapter_dtype(
                adapter_name=OURS, autocast_adapter_dtype=True
            )
            unexpected = list(report.unexpected_keys) or _misplaced(wrapped, given)
    except BadInput:
        raise
    except PEFT_ERRORS as error:
        what = f"peft cannot load this {expert.adapter.config.label} ({first_line(error)})"
        raise bad(where, what, _FIX) from error
    if unexpected:
        what = f"peft does not accept its tensor {unexpected[0]} (of {len(unexpected)})"
        raise bad(where, what, _FIX)
    wrapped.eval().requires_grad_(False)
    return wrapped


def _config(module: nn.Module, expert: Checkpoint) -> PeftConfig:
    """The adapter's own configuration, for exactly the layers that its file holds tensors of."""
    from peft import PeftConfig

    assert expert.adapter is not None
    adapter = expert.adapter
    config = copy.copy(PeftConfig.from_pretrained(str(expert.path)))
    config.inference_mode = True
    config.base_model_name_or_path = None
    config.task_type = config.task_type or "CAUSAL_LM"
    live_names = [name for name, _ in module.named_modules()]
    file = expert.path / "adapter_config.json"
    if problems := pattern_problems(config.to_dict(), live_names, file):
        raise BadInput(*problems)
    told = getattr(config, "target_parameters", None) or adapter.config.form.shared
    if adapter.modules and not told:
        known = dict(module.named_modules())
        live = [find_live(each, known) for each in adapter.modules]
        missing = [name for name, found in zip(adapter.modules, live, strict=True) if not found]
        if missing:
            what = f"it adapts {missing[0]}, which {type(module).__name__} has no layer for"
            raise bad(f"{expert.name} ({expert.path})", what, _FIX)
        settings = cast("Any", config)
        settings.target_modules = set(live)
        for key in ("exclude_modules", "layers_to_transform", "layers_pattern"):
            if hasattr(config, key):
                setattr(config, key, None)
    return config


def _bare(name: str) -> str:
    return ".".join(each for each in name.split(".") if each not in _INNER)


def _fitted(wrapped: PeftModel, expert: Checkpoint) -> dict[str, Tensor]:
    """The adapter's tensors under the names that peft saves, every one of both sides once."""
    from peft import get_peft_model_state_dict

    where = f"{expert.name} ({expert.path})"
    wanted = get_peft_model_state_dict(wrapped, adapter_name=OURS, save_embedding_layers=False)
    places = {key.removeprefix(_WRAPPED): key for key in wanted}
    short = {_bare(name): key for name, key in places.items()}
    model = cast("nn.Module", wrapped.base_model.model)
    stored = {
        ".".join(part for part in each.split(".") if part != "base_layer"): _WRAPPED + each
        for each in model.state_dict()
    }
    given: dict[str, Tensor] = {}
    reader = Reader(expert)
    for name, info in expert.tensors.items():
        place = places.get(name) or short.get(_bare(name))
        if place is None and (found := find_live(_bare(name), short)):
            place = short[found]
        if place is None and (found := find_live(_bare(name), stored)):
            place = stored[found]  # an embedding saved beside because it was resized or adapted
        if place is None or place in given:
            what = f"peft has no place for its tensor {info.name}"
            raise bad(where, what, _FIX)
        given[place] = reader.stored(info).clone()
    reader.close()
    missing = sorted(wanted.keys() - given.keys())
    if missing:
        what = f"its configuration asks for {missing[0]} (of {len(missing)}), which is not there"
        raise bad(where, what, "Use the config and the weights of the same training run.")
    return given


def _misplaced(wrapped: PeftModel, given: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that are not in the model as they were given."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(wrapped, adapter_name=OURS, save_embedding_layers=False)
    state = wrapped.state_dict()
    wrong = []
    for name, tensor in given.items():
        there = found.get(name, state.get(name))
        if there is None or there.shape != tensor.shape:
            wrong.append(name)
        elif not torch.allclose(there.cpu(), tensor.to(there.dtype), rtol=1e-5, atol=1e-7):
            wrong.append(name)  # VB-LoRA keeps logits and saves their softmax: not bit for bit
    return wrong


def lora_layers(module: nn.Module) -> dict[str, LoraLayer]:
    """peft's LoRA layers of a wrapped module by name."""
    from peft.tuners.lora import LoraLayer

    return {name: each for name, each in module.named_modules() if isinstance(each, LoraLayer)}
