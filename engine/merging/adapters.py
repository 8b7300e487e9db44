"""LoRA experts that stay adapters: task arithmetic as scales; nothing is merged or rounded.

θ0 x + Σ c_i s_i B_i A_i x is exact for any c, and a move sets a few numbers a layer. The adapters
of a layer run as one product, and rows of a batch may be of different mixtures (`stacked`).

peft's `add_weighted_adapter` is not used: "linear" mixes A and B apart, and "cat" keeps the first
adapter's configuration, so that two rank-stabilised adapters of rank r come out √r too strong.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.bands import plain
from engine.family.adapter import FILE
from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import Family
from engine.family.depth import NOT_LOOKED, Depth
from engine.family.products import as_torch_made_it
from engine.merging.peft_layers import add_plain, lora_config, lora_layers, quietly
from engine.merging.stacked import Rows, Stacked, factors_of
from engine.recipe import Recipe, find_method

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def plain_adapter(module: PreTrainedModel, place: Path) -> PreTrainedModel:
    """A base with the adapter of a directory, loaded with plain peft.

    Args:
        module: the base; its layers are wrapped in place.
    """
    from peft import PeftModel

    with quietly(), as_torch_made_it(module):
        wrapped = PeftModel.from_pretrained(module, str(place), is_trainable=False)
    wrapped.eval()
    return cast("PreTrainedModel", wrapped.base_model.model)


def beside(module: PreTrainedModel) -> PreTrainedModel:
    """The same module once more, over the same tensors: for adapters of its own, which are added to
    layers and change no tensor of the base.

    It reads prompts through all of its layers. Below the first that is adapted the base has read
    the same, but that is mostly the first layer of all: `target_modules` name a kind of layer.
    """
    shared = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, cast("dict[int, Any]", shared))


class AdapterModel:
    """A base with several LoRA adapters, each with its own scale.

    Args:
        module: the base; its layers are wrapped in place.
        adapters: expert name -> a plain LoRA, placed on this base.
        depth: in which layers the module's tensors lie; needed for coefficients by depth.

    Raises:
        BadInput: an adapter has a layer that the module lacks.
    """

    def __init__(
        self,
        module: PreTrainedModel,
        adapters: Mapping[str, Checkpoint],
        depth: Depth = NOT_LOOKED,
    ) -> None:
        wrapped: PreTrainedModel | PeftModel = module
        self.names = tuple(adapters)
        self._depth = depth
        self._inner = {name: f"mixed{index:04d}" for index, name in enumerate(adapters)}
        self._scales: dict[str, dict[str, float]] = {}
        for name, expert in adapters.items():
            wrapped, self._scales[name] = add_plain(wrapped, expert, self._inner[name])
        wrapped.eval()
        self.module = cast("PreTrainedModel", wrapped.base_model.model)
        self._layers = lora_layers(self.module)
        self._rows = Rows()

    @cached_property
    def _stacked(self) -> dict[str, Stacked]:
        """The layers as ours. A 16-bit head with adapters stays peft's: it is replaced while it
        computes in float32 (`engine.decoding.projection`)."""
        head = self.module.get_output_embeddings()
        found = {}
        for place, layer in self._layers.items():
            inner = [self._inner[name] for name in self.names if place in self._scales[name]]
            whole = next(cast("Any", layer).get_base_layer().parameters()).dtype == torch.float32
            if whole or layer is not head:
                found[place] = Stacked(layer, inner, self._rows)
        return found

    def mix(self, coefficients: Mapping[str, float]) -> None:
        """Make the model θ0 + Σ c_i Δ_i; where one adapter is left, the others do not run."""
        mixed = {place: self._weights(coefficients, place) for place in self._layers}
        several = any(len(weights) > 1 for weights in mixed.values())
        stacked = self._stacked if several or "_stacked" in self.__dict__ else {}
        for place, layer in self._layers.items():
            inner = {self._inner[name]: weight for name, weight in mixed[place].items()}
            layer.set_adapter(list(inner))
            layer.scaling.update(inner)
            if place in stacked:
                stacked[place].mix(inner)
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)

    @property
    def by_row(self) -> bool:
        """Whether every layer with adapters can run a mixture a row."""
        return self._stacked.keys() == self._layers.keys()

    def mix_rows(self, mixtures: Sequence[Mapping[str, float]]) -> None:
        """Make row after row of a batch another model: the one of `mixtures` that `route` says.

        Raises:
            ValueError: a layer runs adapters by itself (`by_row`).
        """
        if not self.by_row:
            raise ValueError("a layer's adapters do not run as one product")
        for place, stacked in self._stacked.items():
            found = [self._weights(each, place) for each in mixtures]
            stacked.mix(*({self._inner[k]: v for k, v in each.items()} for each in found))

    def route(self, owners: Tensor) -> None:
        """Say which mixture each row of the next forward is of; int64 [rows]."""
        self._rows.owners = owners

    def _weights(self, coefficients: Mapping[str, float], place: str) -> dict[str, float]:
        """What multiplies the factors of each adapter that takes part at a layer."""
        here = self._depth.at(coefficients, f"{place}.weight")
        return {
            name: here[name] * self._scales[name][place]
            for name in self.names
            if here.get(name, 0.0) != 0.0 and place in self._scales[name]
        }

    def save_concatenated(self, coefficients: Mapping[str, float], out: Path) -> list[str]:
        """Write Σ c_i Δ_i as one plain adapter, exact: its factors side by side, scales folded in.

        Its rank on a layer is the sum of the ranks there, and its own scale is 1 everywhere.

        Returns:
            The names of the files: adapter_config.json, adapter_model.safetensors.
        """
        from transformers.pytorch_utils import Conv1D

        tensors: dict[str, Tensor] = {}
        layers: dict[str, tuple[int, float]] = {}
        conv = []
        for place, layer in self._layers.items():
            weights = self._weights(coefficients, place)
            if not weights:
                continue
            inner = [self._inner[name] for name in weights]
            embedding = inner[0] in layer.lora_embedding_A
            factors = [factors_of(layer, each) for each in inner]
            ups = [
                (up.double() * weight).float()
                for weight, (_, up) in zip(weights.values(), factors, strict=True)
            ]
            down = torch.cat([each.float() for each, _ in factors]).cpu().contiguous()
            stem = f"base_model.model.{place}.lora_"
            names = ("embedding_A", "embedding_B") if embedding else ("A.weight", "B.weight")
            tensors[stem + names[0]] = down
            tensors[stem + names[1]] = torch.cat(ups, dim=1).cpu().contiguous()
            layers[place] = (len(down), float(len(down)))
            conv.append(isinstance(layer.get_base_layer(), Conv1D))
        config = lora_config(layers, fan_in_fan_out=all(conv)).to_dict()
        config["target_modules"] = self._targets(set(layers))
        text = json.dumps(config, indent=2, sort_keys=True, default=list) + "\n"
        (out / "adapter_config.json").write_text(text, encoding="utf-8")
        save_file(tensors, out / FILE, metadata={"format": "pt"})
        return ["adapter_config.json", FILE]

    def _targets(self, places: set[str]) -> list[str]:
        """`target_modules`: last names where they mean these layers alone, else whole names."""
        short = sorted({each.rsplit(".", 1)[-1] for each in places})
        known = {name.removesuffix(".base_layer") for name, _ in self.module.named_modules()}
        inside = (".lora_", ".base_layer")
        meant = {
            each
            for each in known
            if each.rsplit(".", 1)[-1] in short and not any(part in each for part in inside)
        }
        return short if meant == places else sorted(places)

    def parameters(self, coefficients: Mapping[str, float]) -> int:
        """Parameters of the adapters that run on top of the base."""
        found = 0
        for place, layer in self._layers.items():
            used = {self._inner[name] for name in self._weights(coefficients, place)}
            found += sum(
                parameter.numel()
                for name, parameter in cast(Any, layer).named_parameters()
                if "lora_" in name and used & set(name.split(".")[-2:])
            )
        return found


def runs_unmerged(recipe: Recipe, family: Family) -> bool:
    """Whether a recipe only adds LoRA experts' task vectors, which is exact without merging; what
    is pruned is merged."""
    used = {plain(name) for name, value in recipe.coefficients.items() if value != 0.0}
    return (
        recipe.prune is None
        and find_method(recipe.method).additive
        and bool(used)
        and all(family.experts[name].kind == "lora" for name in used)
    )
