"""What peft's adapter types store and whether their merge is a change of weights, as data.

`check` reads adapters without torch, so what peft 0.21 knows in its classes stands here as tables;
a test holds them against the installed library.

    usable    type -> its tensors on a layer, and those that all layers share
    refused   type -> why no weights can stand for it: it depends on the text, or adds tokens
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

BARE = 0
"""The tensor itself: `hada_w1_a`."""
LAYER = 1
"""A layer's weight or bias: `lora_A.weight`."""
NAMED = 2
"""One of several tensors by name: `glora_A.Xd`."""
NUMBERED = 3
"""A layer of a list: `peanut_encoders.0.weight`."""


@dataclass(frozen=True)
class PeftType:
    """How one type of adapter lies in its file.

    Attributes:
        parts: name of a tensor, or of a holder of tensors, on an adapted layer -> its form.
        shared: the same for what all layers share, beside the model's own tensors.
        bias: it is added to the base layer's bias, which must exist.
        sets: what a layer needs: all parts of one of these; nothing where empty.
    """

    parts: Mapping[str, int]
    shared: Mapping[str, int] = field(default_factory=dict)
    bias: bool = False
    sets: tuple[frozenset[str], ...] = ()


_TOP = ("indices", "weights")


def _sets(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each.split()) for each in sets)


def _bare(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, BARE)


USABLE: Mapping[str, PeftType] = MappingProxyType(
    {
        "LORA": PeftType(
            {
                "lora_A": LAYER,
                "lora_B": LAYER,
                **_bare("lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"),
                **_bare("lora_diag", "lora_velora_embed"),
                "lora_monteclora_sampler": NAMED,
            },
            sets=_sets("lora_A lora_B", "lora_embedding_A lora_embedding_B"),
        ),
        "ADALORA": PeftType(
            _bare("lora_A", "lora_B", "lora_E", "lora_embedding_A", "lora_embedding_B"),
            sets=_sets("lora_A lora_B lora_E", "lora_embedding_A lora_embedding_B lora_E"),
        ),
        "BEFT": PeftType(_bare("beft_bias"), bias=True),
        "BOFT": PeftType(_bare("boft_R", "boft_s"), sets=_sets("boft_R boft_s")),
        "C3A": PeftType(_bare("c3a_kernel")),
        "DEFT": PeftType(_bare("deft_P", "deft_R")),
        "DELORA": PeftType(
            _bare("delora_A", "delora_B", "delora_lambda", "delora_w_norm"),
            sets=_sets("delora_A delora_B delora_lambda delora_w_norm"),
        ),
        "FOURIERFT": PeftType(_bare("fourierft_spectrum")),
        "FROD": PeftType(
            _bare("frod_lambda_l", "frod_lambda_s_values"),
            {"frod_V": NAMED, "frod_s_indices": NAMED, "frod_s_size": NAMED},
            sets=_sets("frod_lambda_l frod_lambda_s_values"),
        ),
        "GLORA": PeftType(
            dict.fromkeys(("glora_A", "glora_B", "glora_C", "glora_D", "glora_E"), NAMED)
        ),
        "GRALORA": PeftType(
            {
                **_bare("gralora_A", "gralora_B"),
                "gralora_A_general": LAYER,
                "gralora_B_general": LAYER,
            },
            sets=_sets("gralora_A gralora_B"),
        ),
        "HIRA": PeftType(
            _bare("hira_A", "hira_B", "hira_embedding_A", "hira_embedding_B"),
            sets=_sets("hira_A hira_B", "hira_embedding_A hira_embedding_B"),
        ),
        "HRA": PeftType(_bare("hra_u")),
        "IA3": PeftType(_bare("ia3_l")),
        "LN_TUNING": PeftType({"ln_tuning_layers": LAYER}),
        "LOHA": PeftType(
            _bare("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
            sets=_sets("hada_w1_a hada_w1_b hada_w2_a hada_w2_b"),
        ),
        "LOKR": PeftType(
            _bare(
                "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"
            ),
            sets=_sets(
                "lokr_w1 lokr_w2",
                "lokr_w1 lokr_w2_a lokr_w2_b",
                "lokr_w1_a lokr_w1_b lokr_w2",
                "lokr_w1_a lokr_w1_b lokr_w2_a lokr_w2_b",
            ),
        ),
        "MISS": PeftType(_bare("miss_block")),
        "OFT": PeftType({"oft_R": LAYER, "oft_embedding_R": LAYER}),
        "OSF": PeftType({"osf_svd_params": NAMED}),
        "PEANUT": PeftType(
            {
                "peanut_A": LAYER,
                "peanut_B": LAYER,
                "peanut_encoders": NUMBERED,
                "peanut_decoders": NUMBERED,
            },
            sets=_sets("peanut_A peanut_B"),
        ),
        "PSOFT": PeftType({"psoft_R": NAMED}),
        "PVERA": PeftType(
            _bare("pvera_lambda_b", "pvera_lambda_d"),
            _bare("pvera_A", "pvera_B"),
            sets=_sets("pvera_lambda_b pvera_lambda_d"),
        ),
        "RANDLORA": PeftType(
            _bare("randlora_lambda", "randlora_gamma", "randlora_A", "randlora_B"),
            _bare("randlora_A", "randlora_B"),
            sets=_sets("randlora_lambda randlora_gamma"),
        ),
        "ROAD": PeftType(_bare("road_theta", "road_alpha"), sets=_sets("road_theta road_alpha")),
        "SHIRA": PeftType(
            _bare("shira_weight", "shira_indices"), sets=_sets("shira_weight shira_indices")
        ),
        "SUPERTUNING": PeftType(
            _bare(
                "supertuning_values",
                "supertuning_indices",
                "supertuning_lora_A",
                "supertuning_lora_B",
            )
        ),
        "TINYLORA": PeftType(
            _bare("tinylora_A", "tinylora_B", "tinylora_P"), {"tinylora_v": NAMED}
        ),
        "TRAINABLE_TOKENS": PeftType({}),
        "UNILORA": PeftType({}, _bare("unilora_theta_d")),
        "VBLORA": PeftType(
            _bare(
                *(f"vblora_logits_{side}" for side in "AB"),
                *(f"vblora_logits_{side}_topk_{what}" for side in "AB" for what in _TOP),
            ),
            _bare("vblora_vector_bank"),
        ),
        "VERA": PeftType(
            _bare("vera_lambda_b", "vera_lambda_d"),
            _bare("vera_A", "vera_B"),
            sets=_sets("vera_lambda_b vera_lambda_d"),
        ),
        "WAVEFT": PeftType(_bare("waveft_spectrum")),
    }
)

TOKENS: Mapping[str, int] = MappingProxyType({"trainable_tokens_delta": BARE})
"""What retrained rows of an embedding are stored under; beside every type."""

_PROMPT = "it prepends learned tokens to the text and changes no weights"
_ROUTED = "it selects adapters depending on the text, so it cannot be expressed as weights"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "PROMPT_TUNING": _PROMPT,
        "MULTITASK_PROMPT_TUNING": _PROMPT,
        "P_TUNING": _PROMPT,
        "PREFIX_TUNING": _PROMPT,
        "CPT": _PROMPT,
        "CARTRIDGE": _PROMPT,
        "ADAPTION_PROMPT": "it adds learned prompts to attention layers and changes no weights",
        "XLORA": _ROUTED,
        "POLY": _ROUTED,
        "LILY": _ROUTED,
        "SHADOW": "it runs a network of its own beside the base, so it cannot be expressed as "
        "weights",
        "ADAMSS": "peft re-clusters the base's weights with scikit-learn each time it loads one",
    }
)

CONV1D: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "gpt2": frozenset({"c_attn", "q_attn", "c_proj", "c_fc"}),
        "openai-gpt": frozenset({"c_attn", "c_proj", "c_fc"}),
        "decision_transformer": frozenset({"c_attn", "q_attn", "c_proj", "c_fc"}),
        "imagegpt": frozenset({"c_attn", "q_attn", "c_proj", "c_fc"}),
        "clvp_decoder": frozenset({"c_fc", "c_proj"}),
    }
)
"""model_type -> layers that are transformers' Conv1D, whose weights lie as [in, out]."""
