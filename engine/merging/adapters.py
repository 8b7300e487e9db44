"""LoRA experts that stay adapters: task arithmetic as scales; nothing is merged or rounded.

θ0 x + Σ c_i s_i B_i A_i x is exact for any c, and a move sets one number a layer. peft's
`add_weighted_adapter` is not used: "linear" mixes A and B apart, and "cat" keeps the first
adapter's configuration, so that two rank-stabilised adapters of rank r come out √r too strong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.family.adapter import FILE
from engine.family.checkpoint import Checkpoint
from engine.family.depth import NOT_LOOKED, Depth
from engine.merging.peft_layers import add_plain, lora_config, lora_layers, quietly

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def _factors(layer: Any, name: str, embedding: bool) -> tuple[Tensor, Tensor]:
    if embedding:
        return layer.lora_embedding_A[name], layer.lora_embedding_B[name]
    return layer.lora_A[name].weight, layer.lora_B[name].weight


def plain_adapter(module: PreTrainedModel, place: Path) -> PreTrainedModel:
    """A base with the adapter of a directory, loaded with plain peft.

    Args:
        module: the base; its layers are wrapped in place.
    """
    from peft import PeftModel

    with quietly():
        wrapped = PeftModel.from_pretrained(module, str(place), is_trainable=False)
    wrapped.eval()
    return cast("PreTrainedModel", wrapped.base_model.model)


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

    def mix(self, coefficients: Mapping[str, float]) -> None:
        """Make the model θ0 + Σ c_i Δ_i; adapters of coefficient 0 do not run."""
        for place, layer in self._layers.items():
            weights = self._weights(coefficients, place)
            layer.set_adapter([self._inner[name] for name in weights])
            for name, weight in weights.items():
                layer.scaling[self._inner[name]] = weight
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)

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
            factors = [_factors(layer, each, embedding) for each in inner]
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
