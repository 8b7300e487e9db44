"""LoRA experts that stay adapters: task arithmetic as scales, nothing merged, nothing rounded.

θ0 x + Σ c_i s_i B_i A_i x is exact for any c, and a move sets one number a layer. The layers are
peft's; `add_weighted_adapter(combination_type="linear")` is not used: it mixes A and B apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from peft import PeftModel
from peft.tuners.lora import LoraLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class AdapterModel:
    """A base with several LoRA adapters, each with its own scale.

    Args:
        module: the base; its layers are wrapped in place.
        adapters: expert name -> adapter directory.
    """

    def __init__(self, module: PreTrainedModel, adapters: Mapping[str, Path]) -> None:
        first, *others = adapters
        wrapped = PeftModel.from_pretrained(
            module, str(adapters[first]), adapter_name=first, is_trainable=False
        )
        for name in others:
            wrapped.load_adapter(str(adapters[name]), adapter_name=name, is_trainable=False)
        wrapped.eval()
        self.names = tuple(adapters)
        self.module = cast("PreTrainedModel", wrapped.base_model.model)
        self._layers = [each for each in self.module.modules() if isinstance(each, LoraLayer)]

    def set(self, coefficients: Mapping[str, float]) -> None:
        """Make the model θ0 + Σ c_i Δ_i; adapters of coefficient 0 do not run."""
        active = [name for name in self.names if coefficients.get(name, 0.0) != 0.0]
        for layer in self._layers:
            layer.set_adapter(active)
            for name in active:
                layer.set_scale(name, coefficients[name])
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)

    def parameters(self, coefficients: Mapping[str, float]) -> int:
        """Parameters of the adapters that run beside the base."""
        used = {name for name in self.names if coefficients.get(name, 0.0) != 0.0}
        return sum(
            parameter.numel()
            for name, parameter in self.module.named_parameters()
            if ".lora_" in name and name.split(".")[-2] in used
        )
