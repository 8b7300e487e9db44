"""Which objectives a reference can be measured on: what is not relative to the family."""

from __future__ import annotations

from engine.family.tokenizer import TokenizerFiles
from engine.scoring.registry import find_scorer
from engine.study import Objective

RELATIVE = "it is relative to the family's models, and a reference is none of them"
COMBINED = "it combines others, of which each reference has its own scores"
OTHER_TOKENS = "its tokenizer is another, and losses per token of another tokenizer do not compare"


def unmeasured_on(
    objective: Objective, own: TokenizerFiles | None, family: TokenizerFiles | None
) -> str:
    """Why a reference is not measured on an objective; empty if it is.

    Args:
        own, family: the tokenizers of the reference and of the study's family.
    """
    scorer = find_scorer(objective.scorer)
    if scorer.tampers or scorer.kind in ("kl", "strength", "none", "size"):
        return RELATIVE
    if scorer.kind == "combined":
        return COMBINED
    same = own is not None and family is not None and dict(own.tokens) == dict(family.tokens)
    return "" if same or scorer.kind != "likelihood" else OTHER_TOKENS
