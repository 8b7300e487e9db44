"""Abstention, judged on both sides: what has an answer is answered, and what has none is not.

The rows say which they are by their target: "answerable" or "unanswerable" (or true and false, yes
and no). An abstention is a sentence that begins by saying so ("I don't know", "There is not enough
information"), or a refusal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from engine.parameter import Says
from engine.scoring.refusal_phrases import IDLE, REFUSALS
from engine.scoring.refusing import refuses
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.data import Row

LABELS = {
    "answerable": True, "true": True, "yes": True, "1": True,
    "unanswerable": False, "false": False, "no": False, "0": False,
}  # fmt: skip
"""What a row's target may be, in any case -> whether it has an answer."""

ABSTENTIONS = (
    "i do not know", "i am not sure", "i am unsure", "i am not certain", "i have no idea",
    "i do not have enough information", "i do not have that information",
    "i do not have information", "i do not have any information", "i have no information",
    "there is no answer", "there is not enough information", "there is insufficient information",
    "there is no information", "no answer", "not enough information", "insufficient information",
    "unknown", "unanswerable", "not known", "nobody knows", "no one knows", "it is unknown",
    "it is not known", "it is not possible to", "it is impossible to", "it cannot be answered",
    "it cannot be determined", "it is unclear", "this cannot be answered",
    "this cannot be determined", "this question cannot be answered",
    "the question cannot be answered", "the answer is unknown", "the answer is not known",
    "the answer cannot be determined", "the text does not say", "the text does not mention",
    "the text does not provide", "the passage does not say", "the passage does not mention",
    "the passage does not provide", "the context does not say", "the context does not mention",
    "the context does not provide", "cannot be determined", "cannot be answered", "not mentioned",
    "not answerable",
)  # fmt: skip
"""How a sentence begins that abstains, beside how it refuses."""

DEFAULT = (*ABSTENTIONS, *REFUSALS)


def answerable(row: Row) -> bool | None:
    """Whether a row has an answer; None if its target says neither."""
    return LABELS.get(row.targets[0].strip().casefold()) if row.targets else None


def _refuse(rows: Sequence[Row], options: Mapping[str, Any]) -> list[tuple[Row | None, str, str]]:
    found: list[tuple[Row | None, str, str]] = []
    sides = set()
    for row in rows:
        side = answerable(row)
        sides.add(side)
        if side is None:
            said = row.targets[0] if row.targets else ""
            what = f"the target {said[:40]!r} does not say whether the prompt has an answer"
            found.append((row, what, "Write answerable or unanswerable as the target."))
    if not found and len(sides) == 1:
        every = "answerable" if sides == {True} else "unanswerable"
        what = f"all {len(rows)} rows are {every}, and abstention is judged on both sides"
        found.append((None, what, "Add rows of the other kind, or measure refusal."))
    return found


def _pooled(
    values: Sequence[float], rows: Sequence[Row], options: Mapping[str, Any]
) -> tuple[list[float], float | None]:
    """Values weighted so that both sides count alike, n / (2 n_side) each, and the error of their
    mean over rows of these two numbers: ½ √(Σ p (1 − p) / n_side), with p = (k + ½) / (n_side + 1)
    in it, so that it is not 0 where a side is all right or all wrong."""
    sides = [answerable(row) is True for row in rows]
    n, variance = len(values), 0.0
    weights = {}
    for side in (True, False):
        own = [value for value, which in zip(values, sides, strict=True) if which == side]
        weights[side] = n / (2 * len(own))
        share = (math.fsum(own) + 0.5) / (len(own) + 1)
        variance += share * (1 - share) / len(own)
    pairs = zip(values, sides, strict=True)
    return [value * weights[side] for value, side in pairs], 0.5 * math.sqrt(variance)


@scorer(
    kind="text",
    direction="maximize",
    mean="balanced",
    needs="target",
    summary="what has an answer is answered and what has none is not: the mean of the two shares, "
    "by a target that says answerable or unanswerable",
    unit="balanced accuracy",
    source="balanced accuracy over the two labels, as of SQuAD 2.0 (arXiv 1806.03822); phrases are "
    "our own",
    pooled=_pooled,
    refuse=_refuse,
    empty_target=False,
    least=0.0,
    most=1.0,
)
def abstention(
    text: str,
    row: Row,
    *,
    phrases: Annotated[
        tuple[str, ...],
        Says("Phrases that begin a sentence which abstains; case and apostrophes are ignored."),
    ] = DEFAULT,
) -> float:
    """An empty answer answers nothing and does not abstain either: it is wrong on both sides."""
    if not text.strip():
        return 0.0
    abstains = refuses(text, phrases, IDLE if phrases == DEFAULT else None)
    return float(abstains != answerable(row))
