"""Decode with several models fused, in plain transformers.

Shipped as custom_generate/generate.py of an exported folder:

    model.generate(**inputs, custom_generate="FOLDER", trust_remote_code=True,
                   models={"base": base, "helpful": helpful})

`model` is the one named by SETTINGS["model"]; `models` passes the other loaded models by name.
Where models read words of their own, `asked`, a list of texts or conversations, and `tokenizer`
stand in for the inputs; or `prompts` gives the inputs of each such pass by its name.
transformers' own `generate` runs, with its arguments, processors, criteria, beams and streamers; at
every step each model runs in the way of its own class, with its own cache, and `generate` sees one
model whose logits are combined in float32, cut to the rows that all models have, and masked beyond
the tokenizer's ids. Unsupported arguments are refused by name.
"""

from __future__ import annotations

import copy
import inspect
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import GenerationMixin
from transformers.generation.configuration_utils import GenerationMode
from transformers.modeling_outputs import CausalLMOutputWithPast

from engine.decoding.rules import combined
from engine.export.own_prompts import Read, inputs_of
from engine.export.turning import check_rows, turned, turned_back

SETTINGS: dict[str, Any] = {}

REFUSED = {
    "inputs_embeds": "each model has its own embeddings; pass input_ids",
    "past_key_values": "each model keeps its own cache; pass the whole text",
    "cache_params": "each model keeps its own cache; pass the whole text",
    "assistant_model": "assisted decoding is not supported for fused models",
    "assistant_tokenizer": "assisted decoding is not supported for fused models",
    "prompt_lookup_num_tokens": "prompt-lookup decoding is not supported for fused models",
    "assistant_early_exit": "prompt-lookup decoding is not supported for fused models",
    "negative_prompt_ids": "classifier-free guidance is not supported for fused models",
    "negative_prompt_attention_mask": "classifier-free guidance is not supported for fused models",
    "guidance_scale": "classifier-free guidance is not supported for fused models",
    "output_attentions": "fused models have no common attentions",
    "output_hidden_states": "fused models have no common hidden states",
    "labels": "generation computes no loss",
}
MODES = {
    GenerationMode.CONTRASTIVE_SEARCH: "penalty_alpha",
    GenerationMode.DOLA_GENERATION: "dola_layers",
    GenerationMode.GROUP_BEAM_SEARCH: "num_beam_groups",
    GenerationMode.CONSTRAINED_BEAM_SEARCH: "constraints, force_words_ids",
    GenerationMode.ASSISTED_GENERATION: "assistant_model, prompt_lookup_num_tokens",
}
MEMORIES = ("past_key_values", "cache_params", "state", "mems", "past_buckets_states")


@contextmanager
def widened(model: Any) -> Any:
    """Float32 from the output projection on, where a model computes in 16 bits."""
    head: Any = model.get_output_embeddings()
    if type(head).__name__ != "Linear" or head.weight.dtype == torch.float32:
        yield
        return
    bias = None if head.bias is None else head.bias.float()

    def linear(hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(hidden.float(), head.weight.float(), bias)

    head.forward = linear
    try:
        yield
    finally:
        del head.forward


class OwnMemories:
    """Stands for the models' own memories where transformers asks for one."""

    is_compileable = False
    is_croppable = False

    def get_seq_length(self) -> int:
        return 0


class Fused(GenerationMixin):
    """Several models that transformers' `generate` takes for one; what this class does not say
    itself, the leading model answers."""

    def __init__(self, models: dict[str, Any], read: Read, width: int) -> None:
        passes = SETTINGS["passes"]
        self.models = {name: unwrapped(models[each]) for name, each in passes.items()}
        self.read = read
        self.width = width
        self.leading = unwrapped(models[SETTINGS["model"]])
        self.config = copy.deepcopy(self.leading.config)
        self.config.get_text_config(decoder=True).vocab_size = SETTINGS["rows"]
        self.generation_config = copy.deepcopy(self.leading.generation_config)
        if ends_of(self.generation_config) == SETTINGS["own_end_ids"] and SETTINGS["end_ids"]:
            self.generation_config.eos_token_id = SETTINGS["end_ids"]
        self.arguments: list[dict[str, Any]] = []
        self.placed = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("leading", "models"):
            raise AttributeError(name)
        return getattr(self.leading, name)

    def _validate_model_kwargs(self, given: dict[str, Any]) -> None:
        for each in self.models.values():
            each._validate_model_kwargs(dict(given))
        self.placed = given.get("position_ids") is not None

    def _get_deprecated_gen_repo(
        self,
        generation_mode: GenerationMode,
        trust_remote_code: bool,
        custom_generate: str | None = None,
    ) -> None:
        if generation_mode in MODES:
            said = generation_mode.value.replace("_", " ")
            raise ValueError(f"{MODES[generation_mode]}: {said} is not supported for fused models")

    def _validate_generation_mode(self, mode: Any, settings: Any, given: Any) -> None:
        refuse(settings.to_dict())
        super()._validate_generation_mode(mode, settings, given)

    def _valid_auto_compile_criteria(self, *rest: Any) -> bool:
        return False

    def _prepare_cache_for_generation(
        self, settings: Any, given: dict[str, Any], mode: Any, rows: int, length: int
    ) -> bool:
        """Give every model what `generate` would have prepared for it alone."""
        expanded = rows * max(settings.num_beams, settings.num_return_sequences)
        wider = max([0, *(len(ids[0]) - self.width for ids, _ in self.read.values())])
        for mask in (given.get("attention_mask"), *(mask for _, mask in self.read.values())):
            check_rows(SETTINGS["feeding"], mask, expanded, settings.max_length + wider)
        self.read = {
            name: (ids.repeat_interleave(expanded // rows, 0), mask)
            for name, (ids, mask) in self.read.items()
        }
        self.arguments = []
        for name, model in self.models.items():
            own, takes = dict(given), inspect.signature(model.forward).parameters
            if name in self.read:
                own["attention_mask"] = self.read[name][1].repeat_interleave(expanded // rows, 0)
            if "attention_mask" not in takes:
                own.pop("attention_mask", None)
            if "logits_to_keep" in takes:
                own["logits_to_keep"] = 1
            mine = copy.copy(settings)
            if SETTINGS["feeding"][SETTINGS["passes"][name]]["memory"] == "none":
                mine.use_cache = False
            model._prepare_cache_for_generation(mine, own, mode, rows, length + wider)
            own["use_cache"] = mine.use_cache
            self.arguments.append(own)
        if settings.use_cache:
            given["past_key_values"] = OwnMemories()
        return bool(settings.use_cache)

    def _prefill(
        self,
        input_ids: Any,
        generation_config: Any,
        model_kwargs: Any,
        is_first_iteration: bool = True,
    ) -> Any:
        outputs = []
        for (name, model), own in zip(self.models.items(), self.arguments, strict=True):
            ids = self.ids(name, input_ids)
            if "position_ids" in inspect.signature(model.forward).parameters and not self.placed:
                own["position_ids"] = model._prepare_position_ids_for_generation(ids, own)
            with self.widened(model):
                outputs.append(model._prefill(ids, generation_config, own, is_first_iteration))
        return self.fused(outputs, model_kwargs)

    def ids(self, name: str, input_ids: torch.Tensor) -> torch.Tensor:
        """What a pass reads: its own prompts, if it has any, and what was written since."""
        if name not in self.read:
            return input_ids
        return torch.cat([self.read[name][0], input_ids[:, self.width :]], 1)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: torch.Tensor, **given: Any
    ) -> dict[str, Any]:
        inputs = []
        for (name, model), own in zip(self.models.items(), self.arguments, strict=True):
            length, ids = 1 if own["use_cache"] else None, self.ids(name, input_ids)
            inputs.append(
                model.prepare_inputs_for_generation(ids, next_sequence_length=length, **own)
            )
        return {"inputs": inputs, "memory": given.get("past_key_values")}

    def forward(self, attention_mask: Any = None, **given: Any) -> None:
        """Says to `generate` what may be given: each model runs by itself, see `__call__`."""
        raise TypeError("fused models can only run through generate")

    def __call__(self, inputs: list[dict[str, Any]], memory: Any, return_dict: bool = True) -> Any:
        outputs = []
        for model, each in zip(self.models.values(), inputs, strict=True):
            with self.widened(model):
                outputs.append(model(**each, return_dict=True))
        return self.fused(outputs, {"past_key_values": memory})

    def widened(self, model: Any) -> Any:
        return widened(model) if len(self.models) > 1 else nullcontext()

    def fused(self, outputs: list[Any], given: dict[str, Any]) -> CausalLMOutputWithPast:
        """The combined logits of the last column; what the models remember stays with them."""
        self.arguments = [
            model._update_model_kwargs_for_generation(out, own)
            for model, out, own in zip(self.models.values(), outputs, self.arguments, strict=True)
        ]
        device = outputs[0].logits.device
        logits = [each.logits[:, -1:, : SETTINGS["rows"]].float().to(device) for each in outputs]
        fused = combined(
            SETTINGS["kind"], logits, SETTINGS["weights"], SETTINGS["options"],
            SETTINGS["vocabulary"],
        )  # fmt: skip
        return CausalLMOutputWithPast(logits=fused, past_key_values=given.get("past_key_values"))

    def _reorder_cache(self, memory: Any, beams: torch.Tensor) -> Any:
        for (name, model), own in zip(self.models.items(), self.arguments, strict=True):
            found = [each for each in MEMORIES if own.get(each) is not None]
            for each in found:
                if hasattr(model, "_reorder_cache"):
                    own[each] = model._reorder_cache(own[each], beams)
                elif hasattr(own[each], "reorder_cache"):
                    own[each].reorder_cache(beams)
                else:
                    raise ValueError(f"num_beams: the cache of {name} cannot be reordered")
            if not found and own["use_cache"]:
                raise ValueError(f"num_beams: {name} keeps its memory where it cannot be reordered")
        return memory


def unwrapped(model: Any) -> Any:
    """The transformers model, adapters in it, where peft wraps it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def ends_of(settings: Any) -> list[int]:
    """The end tokens that a generation configuration names, sorted."""
    own = settings.eos_token_id
    return sorted({own} if isinstance(own, int) else {int(each) for each in own or ()})


def refuse(given: dict[str, Any]) -> None:
    """Raise for what several models cannot do, by the argument's name."""
    for name, why in REFUSED.items():
        value = given.get(name)
        if value is None or value is False or (name == "guidance_scale" and value == 1):
            continue
        raise ValueError(f"{name}: {why}")


@torch.no_grad()
def generate(
    model: Any,
    models: dict[str, Any] | None = None,
    prompts: dict[str, Any] | None = None,
    asked: list[Any] | None = None,
    template_kwargs: dict[str, Any] | None = None,
    **given: Any,
) -> Any:
    """What `model.generate(**given)` returns, of the mixture; `models` are the others by name.

    Args:
        prompts: pass -> the inputs of one that reads words of its own.
        asked: texts or conversations, from which `tokenizer` makes the inputs of all passes.
        template_kwargs: what chat templates may look at beside the messages.

    Raises:
        ValueError: a model is missing, or an argument cannot be honoured; it is named.
    """
    others = dict(models or {})
    known = SETTINGS["models"]
    missing = [name for name in known if name != SETTINGS["model"] and name not in others]
    if missing:
        raise ValueError(f"models: pass the loaded models {', '.join(missing)} by name")
    strange = [name for name in others if name not in known]
    if strange:
        raise ValueError(f"models: unknown {', '.join(strange)}; known: {', '.join(known)}")
    if given.get("cache_implementation") == "paged":
        raise ValueError("cache_implementation: fused models have no paged cache")
    refuse(given)
    given, read, width = inputs_of(
        given, SETTINGS, prompts, asked, template_kwargs, getattr(model, "device", None)
    )
    left = turned(given)
    found = Fused(others | {SETTINGS["model"]: model}, read, width).generate(**left)
    if isinstance(found, torch.Tensor):
        return found if left is given else turned_back(found, given)
    if left is not given:
        found["sequences"] = turned_back(found["sequences"], given)
    return type(found)(**{key: each for key, each in found.items() if key != "past_key_values"})
