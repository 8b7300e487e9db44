"""The configuration of a model whose config.json ties a head that its file stores as another."""

from __future__ import annotations

from typing import Any

from engine.family.checkpoint import Checkpoint
from engine.family.ties import pairs_of


def untied_config(checkpoint: Checkpoint) -> Any:
    """What transformers is to load a checkpoint with: None, its config.json, for nearly every one.

    transformers compares the two tensors in the dtype that it loads them in, and ties them again
    whenever rows are added. Told that they are not tied, it keeps both whatever they are rounded
    to. A class that ties more than its head (the two biases of BERT's) is left to compare.
    """
    if not checkpoint.ties.own or len(pairs_of(checkpoint.config)) > 1:
        return None
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        checkpoint.path, local_files_only=True, trust_remote_code=False
    )
    for each in (config, config.get_text_config(decoder=True)):
        each.tie_word_embeddings = False
    return config
