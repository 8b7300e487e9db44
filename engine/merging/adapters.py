"""LoRA experts that stay adapters: task arithmetic as scales, nothing merged, nothing rounded.

θ0 x + Σ c_i s_i B_i A_i x is exact for any c, and a move sets one number a layer. The layers are
peft's; `add_weighted_adapter(combination_type="linear")` is not used: it mixes A and B apart.
"""

from __future__ import annotations

import tempfile
import warnings
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
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5 for a property that is being renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            wrapped = PeftModel.from_pretrained(
                module, str(adapters[first]), adapter_name=first, is_trainable=False
            )
        for name in others:
            wrapped.load_adapter(str(adapters[name]), adapter_name=name, is_trainable=False)
        wrapped.eval()
        self.names = tuple(adapters)
        self._wrapped = wrapped
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

    def save_concatenated(self, coefficients: Mapping[str, float], out: Path) -> list[str]:
        """Write Σ c_i Δ_i as one adapter whose rank is the sum of the ranks; exact.

        Returns:
            The names of the files: adapter_config.json, adapter_model.safetensors.
        """
        used = [name for name in self.names if coefficients.get(name, 0.0) != 0.0]
        for layer in self._layers:
            for name in used:
                layer.set_scale(name, 1.0)
        together = "concatenated"
        self._wrapped.add_weighted_adapter(
            used, [coefficients[name] for name in used], together, combination_type="cat"
        )
        try:
            with tempfile.TemporaryDirectory(dir=out) as place:
                self._wrapped.save_pretrained(place, selected_adapters=[together])
                files = ["adapter_config.json", "adapter_model.safetensors"]
                for name in files:
                    (Path(place) / together / name).replace(out / name)
        finally:
            self._wrapped.delete_adapter(together)
            self.set(coefficients)
        return files

    def parameters(self, coefficients: Mapping[str, float]) -> int:
        """Parameters of the adapters that run beside the base."""
        used = {name for name in self.names if coefficients.get(name, 0.0) != 0.0}
        return sum(
            parameter.numel()
            for name, parameter in self.module.named_parameters()
            if ".lora_" in name and name.split(".")[-2] in used
        )
