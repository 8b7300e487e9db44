"""How likely tokens were: natural logarithms under the fused distribution, before temperature and
top_p, which is what the mixture says; what a sampler makes of it does not enter."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.serving.token_bytes import TokenBytes


@dataclass(frozen=True)
class Chance:
    """A token and how likely it was.

    Attributes:
        name: as a text.
        spelled: the bytes that it adds to the answer.
        logprob: ln p.
    """

    name: str
    spelled: bytes
    logprob: float


@dataclass(frozen=True)
class Likely(Chance):
    """One token of an answer.

    Attributes:
        start: characters of the answer before it.
        top: the likeliest, the lowest id first among equals; fewer than were asked for where a
            method rules out the others.
    """

    start: int = 0
    top: tuple[Chance, ...] = ()


class Watch:
    """Looks at the logits of a decode loop; `of` says then how likely its newest token was.

    Args:
        top: alternatives to keep.
        spell: the bytes of tokens.
    """

    def __init__(self, top: int, spell: TokenBytes) -> None:
        self._top, self._spell = top, spell
        self._rows: dict[int, int] = {}
        self._logprobs = torch.empty(0)
        self._spelled: dict[int, _Spelled] = {}
        self._best: list[list[tuple[int, float]]] = []

    def look(self, indices: Sequence[int], logits: Tensor) -> None:
        """Take the logits of a step: float32 [rows, vocabulary rows]."""
        self._rows = {index: row for row, index in enumerate(indices)}
        self._logprobs = logits.float().log_softmax(-1)
        top = self._logprobs.topk(min(self._top, logits.shape[-1]), dim=-1)
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        self._best = [sorted(zip(*each, strict=True), key=_order) for each in pairs]

    def of(self, index: int, token: int) -> Likely:
        """How likely the newest token of a prompt was, called once for each."""
        spelled = self._spelled.setdefault(index, _Spelled())
        first = not spelled.begun
        row = self._rows[index]
        best = (each for each in self._best[row] if each[1] > -torch.inf)
        top = tuple(Chance(*self._told(each, first), value) for each, value in best)
        name, told = self._told(token, first)
        start = spelled.add(told)
        return Likely(name, told, float(self._logprobs[row, token]), start, top)

    def _told(self, token: int, first: bool) -> tuple[str, bytes]:
        spelled = self._spell.first(token) if first else self._spell(token)
        return self._spell.name(token, spelled), spelled


class _Spelled:
    """Counts the characters that tokens spell; one that is not whole yet counts as none."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._size = 0
        self.begun = False

    def add(self, spelled: bytes) -> int:
        """Characters before these bytes."""
        start = self._size
        self._size += len(self._decoder.decode(spelled))
        self.begun = self.begun or bool(spelled)
        return start


def _order(pair: tuple[int, float]) -> tuple[float, int]:
    return -pair[1], pair[0]
