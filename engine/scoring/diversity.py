"""How long answers are, and how much they differ: length, distinct-n, self-BLEU.

Words are what stands between white space, as it is written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from engine.parameter import Limits, Says
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.data import Row
    from engine.scoring.sampled import Samples

EPSILON = 0.1
"""Matches of n-grams of a length that has none (Chen and Cherry 2014, method 1)."""

Gram = tuple[str, ...]


@scorer(
    kind="samples",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="the length of the answer",
    unit="tokens or words",
    source="average response length, as in arXiv 2404.04475",
    least=0.0,
)
def length(
    seen: Samples,
    row: Row,
    *,
    count: Annotated[
        Literal["tokens", "words"],
        Says(
            "What is counted.",
            tokens="tokens of the answer by itself in the family's tokenizer, no end token",
            words="what stands between white space",
        ),
    ] = "tokens",
) -> float:
    """Of what is left after stops and `answer_after`; 0 where there is no answer."""
    return float(seen.tokens[0] if count == "tokens" else len(seen.texts[0].split()))


def grams(text: str, n: int) -> list[Gram]:
    """The n-grams of words of a text."""
    words = text.split()
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _share(counts: Iterable[Counter[Gram]]) -> float:
    total: Counter[Gram] = Counter()
    for each in counts:
        total.update(each)
    return len(total) / total.total() if total else 0.0


def _of_the_set(
    seen: Sequence[Any],
    rows: Sequence[Row],
    options: Mapping[str, Any],
    device: str,
    tick: Callable[[], None],
) -> list[float] | None:
    """The jackknife's values of the whole set, θ + J_i − mean J with J_i = n θ − (n − 1) θ₋ᵢ: their
    mean is the score θ, their sd / √n its jackknife standard error (Efron and Stein 1981)."""
    if options["over"] != "set":
        return None
    n = options["n"]
    each = [Counter(gram for text in one.texts for gram in grams(text, n)) for one in seen]
    whole: Counter[Gram] = Counter()
    for counts in each:
        whole.update(counts)
    total, size = whole.total(), len(each)
    score = len(whole) / total if total else 0.0
    without = []
    for counts in each:
        left = total - counts.total()
        gone = sum(whole[gram] == count for gram, count in counts.items())
        without.append((len(whole) - gone) / left if left else 0.0)
    tick()
    middle = math.fsum(without) / size
    return [score + (size - 1) * (middle - value) for value in without]


@scorer(
    kind="samples",
    direction="maximize",
    mean="mean",
    needs="prompt",
    summary="distinct-n: different n-grams of words ÷ all n-grams, of all answers or of those to "
    "each prompt",
    unit="distinct n-grams ÷ n-grams",
    source="Li et al. 2016 (arXiv 1510.03055); over samples of a prompt as arXiv 2310.06452",
    judge=_of_the_set,
    least=0.0,
    most=1.0,
)
def distinct_n(
    seen: Samples,
    row: Row,
    *,
    n: Annotated[int, Limits(1, 8), Says("Words of an n-gram.")] = 2,
    samples: Annotated[
        int, Limits(1, 64), Says("Answers to each prompt; several need a temperature.")
    ] = 1,
    over: Annotated[
        Literal["set", "prompt"],
        Says(
            "Which answers are put together.",
            set="those to all prompts, as Li et al.; the error by the jackknife over prompts",
            prompt="the samples of each prompt; the score is the mean over prompts",
        ),
    ] = "set",
) -> float:
    """1 where no n-gram occurs twice, 0 where there is none. Li et al. divide by words, which for
    n = 1 is the same; by n-grams a longer n has the same range."""
    return _share(Counter(grams(text, n)) for text in seen.texts)


def sentence_bleu(words: Sequence[str], others: Sequence[Sequence[str]], n: int) -> float:
    """BLEU of a text against several (Papineni et al. 2002): n-grams up to n, all of one weight,
    the nearest reference's length, `EPSILON` where a length has no match; 0 where no word has."""
    if not words:
        return 0.0
    logs = []
    for size in range(1, n + 1):
        found = Counter(grams(" ".join(words), size))
        most: Counter[Gram] = Counter()
        for other in others:
            most |= Counter(grams(" ".join(other), size))
        matches: float = (found & most).total()
        if not matches:
            if size == 1:
                return 0.0
            matches = EPSILON
        logs.append(math.log(matches / max(1, found.total())))
    near = min((abs(len(each) - len(words)), len(each)) for each in others)[1]
    short = min(0.0, 1.0 - near / len(words))
    return math.exp(short + math.fsum(logs) / n)


@scorer(
    kind="samples",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="self-BLEU: BLEU of each sample of a prompt against its other samples; the higher, the "
    "less they differ",
    unit="BLEU, from 0 to 1",
    source="Zhu et al. 2018 (arXiv 1802.01886), over the samples of each prompt",
    least=0.0,
)
def self_bleu(
    seen: Samples,
    row: Row,
    *,
    samples: Annotated[
        int, Limits(2, 64), Says("Answers to each prompt; they need a temperature.")
    ] = 5,
    n: Annotated[int, Limits(1, 8), Says("Words of the longest n-gram.")] = 4,
) -> float:
    """Two empty samples count as 0: they have no word in common."""
    words = [text.split() for text in seen.texts]
    return math.fsum(
        sentence_bleu(each, [*words[:place], *words[place + 1 :]], n)
        for place, each in enumerate(words)
    ) / len(words)
