"""Layers that an adapter cannot be trusted on, by model type: transformers 5.23 and peft 0.21.

peft puts an adapter into a layer's forward. Where a class reads the layer's weights without calling
it, the adapter does not run, and its merge is another model than the one that was trained. Where
layers share one tensor, a merge adds every layer's part to all of them. Some layers peft refuses,
or takes for others. None of that shows in a file's header, so it stands here; a test tries each
entry on a tiny model of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.family.checkpoint import Checkpoint

_READ = "the class reads its weights without running the layer, so an adapter there has no effect"
_SHARED = (
    "the class shares its tensor between several layers, so peft's merge would add the "
    "parts of all of them"
)
_MAMBA = "peft refuses it for this class, whose kernels read its weights directly"
_TUPLE = "peft cannot run an adapter there, because the layer's output is not a tensor"
_SHAPE = "peft cannot run an adapter there, because the class calls it in groups"
_EXPERTS = "peft mistakes the name for the stacked experts' tensors"

READ: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "mamba": {"dt_proj": _READ, "out_proj": _MAMBA, "conv1d": _MAMBA},
        "falcon_mamba": {"dt_proj": _READ, "out_proj": _MAMBA, "conv1d": _MAMBA},
        "mamba2": {"out_proj": _MAMBA, "conv1d": _MAMBA},
        "falcon_h1": {"out_proj": _MAMBA, "conv1d": _MAMBA},
        "nemotron_h": {"out_proj": _MAMBA, "conv1d": _MAMBA},
        "jamba": {"dt_proj": _READ},
        "longcat_flash": {"classifier": _READ},
        "llama4_text": {"router": _TUPLE},
        "phimoe": {"router": _TUPLE},
        "deepseek_v4": {"o_a_proj": _SHAPE},
        "zamba": dict.fromkeys(
            ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), _SHARED
        ),
        "zamba2": dict.fromkeys(
            ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj", "0", "1"),
            _SHARED,
        ),
    }
)
"""model_type -> last name of a layer -> why."""

MISREAD: Mapping[str, tuple[str, ...]] = MappingProxyType({"inkling2_text": ("weight_proj",)})
"""model_type -> last names whose adapters peft renames, and so leaves out, when it loads them."""

_QWEN = ("gate", "gate_proj", "up_proj", "down_proj")
_MIXTRAL = ("gate", "w1", "w2", "w3")
RENAMED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("minimax", "minimax_m2", "mixtral"), _MIXTRAL),
        **dict.fromkeys(
            (
                "afmoe", "beam", "cohere2_moe", "deepseek_v2", "deepseek_v3", "deepseek_v32",
                "dots1", "ernie4_5_moe", "exaone_moe", "flex_olmo", "glm4_moe", "glm4_moe_lite",
                "glm4v_moe", "glm_moe_dsa", "hunyuan_v1_moe", "longcat_flash", "mellum", "olmoe",
                "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen3_omni_moe_text",
                "qwen3_omni_moe_thinker", "solar_open",
            ),
            _QWEN,
        ),
    }
)  # fmt: skip
"""model_type -> last names that peft takes for stacked experts, in a LoRA."""


def unfit(base: Checkpoint, layer: str, lora: bool) -> str:
    """Why an adapter on a layer cannot be used; "" if it can.

    Args:
        layer: its live name.
        lora: the adapter is a LoRA that names its layers, which peft converts for mixtures of
            experts.
    """
    last = layer.rsplit(".", 1)[-1]
    nested = base.config.get("text_config")
    kinds = [base.config.get("model_type")]
    kinds += [nested.get("model_type")] if isinstance(nested, Mapping) else []
    for kind in kinds:
        found = READ.get(str(kind), {}).get(last, "")
        if found:
            return found
        if lora and last in MISREAD.get(str(kind), ()):
            return "peft renames its tensors when it loads them, and so skips them"
        if lora and last in RENAMED.get(str(kind), ()):
            return _EXPERTS
    return ""
