"""Which tensors mergekit takes for those after the layers, which come from the last slice.

It has lists of the tensors of some architectures (0.1.5). Of any other it knows no order: all that
lies outside the layers comes from the first slice.
"""

from __future__ import annotations

import re

LISTED = frozenset((
    "AfmoeForCausalLM", "ApertusForCausalLM", "ArceeForCausalLM", "BaichuanForCausalLM",
    "BertForMaskedLM", "BertForMultipleChoice", "BertForSequenceClassification",
    "BertForTokenClassification", "BertModel", "ChatGLMModel", "Cohere2ForCausalLM",
    "CohereForCausalLM", "DistilBertForMaskedLM", "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification", "DistilBertModel", "ExaoneForCausalLM",
    "FalconForCausalLM", "GPT2ForSequenceClassification", "GPT2LMHeadModel",
    "GPTBigCodeForCausalLM", "GPTNeoXForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
    "GemmaForCausalLM", "Glm4ForCausalLM", "Glm4MoeForCausalLM", "GraniteForCausalLM",
    "GraniteMoeHybridForCausalLM", "InternLM2ForCausalLM", "JAISLMHeadModel",
    "LLaMaForCausalLM", "Lfm2ForCausalLM", "LlamaForCausalLM", "LlamaForSequenceClassification",
    "MambaForCausalLM", "MistralForCausalLM", "MixFormerSequentialForCausalLM",
    "MixtralForCausalLM", "Olmo2ForCausalLM", "Phi3ForCausalLM", "Phi3SmallForCausalLM",
    "PhiForCausalLM", "QWenLMHeadModel", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM", "RobertaForMaskedLM", "RobertaForSequenceClassification",
    "RobertaForTokenClassification", "RobertaModel", "SolarForCausalLM",
    "StableLMEpochForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM",
))  # fmt: skip
"""Architectures of one stack of layers whose tensors mergekit 0.1.5 lists."""

ONE_BY_ONE = frozenset(("AfmoeForCausalLM",))
"""Mixtures whose experts mergekit merges one by one."""

_BEFORE = re.compile(r"(?:^|[._])(?:embed|wte|wpe|tok_embeddings|word_embeddings|relative_pe)")


def after_layers(tensor: str, architecture: str) -> bool:
    """Whether mergekit takes a tensor outside the layers from the last slice.

    Args:
        architecture: the class that the configuration names.
    """
    if architecture not in LISTED:
        return False
    return tensor.endswith("embed_out.weight") or not _BEFORE.search(tensor)
