"""Heads that a file stores as another tensor than the embedding, though config.json ties them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.family.checkpoint import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def keep_apart(module: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Give a module a head of its own where its checkpoint stores one.

    transformers keeps such a head when it loads, but compares it with the embedding in the dtype
    that it loads them in, and ties them again whenever rows are added. Nothing changes for any
    other checkpoint.
    """
    if not checkpoint.ties.own:
        return
    from torch.nn import Parameter

    head, embedding = module.get_output_embeddings(), module.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = Parameter(embedding.weight.detach().clone(), requires_grad=False)
    for each in (module.config, module.config.get_text_config(decoder=True)):
        each.tie_word_embeddings = False
