"""Rows of a batch growing a token a step, until each has ended.

Finished rows leave the batch where its class allows it. One transfer from the device a step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from engine.decoding.sampling import Sampling, chances
from engine.decoding.soundness import NOT_FINITE, Unsound, alike, refuse_alike

if TYPE_CHECKING:
    from engine.decoding.batch import Batch
    from engine.decoding.recording import Recorder

Ended = Literal["end", "stop", "length"]


@dataclass(frozen=True)
class Generation:
    """What followed one prompt.

    Attributes:
        token_ids: the new tokens, without the end token.
        ended: by an end token, by `stopped`, or by max_new_tokens.
        strengths: of `Mixture.chosen`, those that each of the tokens was chosen with, then the end
            token, where it was.
        runs: how many tokens each module ran for; nothing where all of them ran for every one.
    """

    token_ids: tuple[int, ...]
    ended: Ended
    strengths: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] = ()


@dataclass(eq=False)
class Line:
    """A text on its way.

    Attributes:
        index: of its prompt.
        key: of its noise.
        ended: how, once it has.
    """

    index: int
    key: int
    written: list[int] = field(default_factory=list)
    strengths: list[tuple[float, ...]] = field(default_factory=list)
    runs: tuple[int, ...] = ()
    ended: Ended | None = None

    @property
    def generation(self) -> Generation:
        assert self.ended is not None
        return Generation(tuple(self.written), self.ended, tuple(self.strengths), self.runs)


class Writing:
    """How texts are written, and when they end; arguments as of `engine.decoding.loop.steps`.

    A text that is written a second time is told of only beyond where it was the first time.
    """

    def __init__(
        self,
        max_new_tokens: int,
        end_ids: frozenset[int],
        sampling: Sampling,
        stopped: Callable[[int, list[int]], bool] | None,
        on_tokens: Callable[[int, int], None] | None,
        on_logits: Callable[[Sequence[int], Tensor], None] | None = None,
        on_ended: Callable[[int, Generation], None] | None = None,
        limits: Sequence[int] | None = None,
    ) -> None:
        self.most = max_new_tokens
        self.sampling = sampling
        self.on_logits = on_logits
        self.on_ended = on_ended
        self._limits = limits
        self._end_ids = end_ids
        self._stopped = stopped
        self._on_tokens = on_tokens
        self._told: dict[int, int] = {}

    def take(self, line: Line, token: int) -> bool:
        """Give a text its next token; whether it goes on."""
        line.ended = self._ended(line, token)
        return line.ended is None

    def _ended(self, line: Line, token: int) -> Ended | None:
        if token in self._end_ids:
            return "end"
        line.written.append(token)
        count = len(line.written)
        if self._on_tokens is not None and count > self._told.get(line.index, 0):
            self._told[line.index] = count
            self._on_tokens(line.index, token)
        if self._stopped is not None and self._stopped(line.index, line.written):
            return "stop"
        most = self.most if self._limits is None else self._limits[line.index]
        return "length" if count >= most else None


class Undecided(Exception):
    """Two ids are so close that another make-up of the batch might choose the other."""


Decided = Callable[[Tensor], Tensor]
"""[rows, vocabulary] of `chances` -> bool [rows]: whether the largest is clearly the largest."""


def write(
    batch: Batch,
    logits: Tensor,
    lines: Sequence[Line],
    writing: Writing,
    recorder: Recorder | None = None,
    decided: Decided | None = None,
) -> Generator[None, None, None]:
    """Continue a text a row until all have ended; yields when every row has its next token, before
    that token is fed.

    Args:
        logits: float32 [rows, 1, vocabulary] of the last column that was fed.
        lines: one a row, none of them ended.
        recorder: takes down what is chosen.
        decided: asked at every step.

    Raises:
        Unsound: the logits are not finite, or all alike.
        Undecided: by `decided`.
    """
    slots, alive = list(range(len(lines))), list(lines)
    keys = torch.tensor([each.key for each in lines], device=batch.device)
    at = torch.tensor([len(each.written) for each in lines], device=batch.device)
    sound: Tensor | None = None
    running: Tensor | None = None  # rows that have not ended; None: an ended one is gone
    step = 0
    while True:
        last = logits[:, -1]
        found = chances(last, writing.sampling, keys, at + step)
        if decided is not None and not bool(decided(found).all()):
            raise Undecided
        chosen = found.argmax(-1)
        finite = last.gather(1, chosen[:, None]).isfinite()[:, 0]
        finite = (finite if running is None else finite | ~running).all()
        sound = finite if sound is None else sound & finite
        tokens = chosen.tolist()
        # at 0, 1, 2, 4, 8 …: a weight is dead at every step; of equal logits the first is the
        # largest, so that a row whose logits are all alike at another step says 0
        if step & (step - 1) == 0 or not writing.sampling.greedy or 0 in tokens:
            refuse_alike(alike(last, batch.model.vocabulary), running)
        if batch.strengths is not None:
            for line, each in zip(alive, batch.strengths[:, -1].tolist(), strict=True):
                if line.ended is None:
                    line.strengths.append(tuple(each))
        if recorder is not None and recorder.running:
            said = zip(slots, alive, tokens, strict=True)
            recorder.step([(n, token) if e.ended is None else None for n, e, token in said])
        for row, line in enumerate(alive):
            if line.ended is None:
                line.runs = batch.run_of(row)
        if writing.on_logits is not None:
            writing.on_logits([line.index for line in alive], last)
        going = [line for line in alive if line.ended is None]
        staying = [
            row
            for row, (line, token) in enumerate(zip(alive, tokens, strict=True))
            if line.ended is None and writing.take(line, token)
        ]
        if writing.on_ended is not None and len(staying) < len(going):
            if not bool(sound):
                raise Unsound(NOT_FINITE)
            for line in going:
                if line.ended is not None:
                    writing.on_ended(line.index, line.generation)
        if not staying:
            break
        if not batch.feeding.leaves:
            running = torch.zeros(len(alive), dtype=torch.bool, device=batch.device)
            running[staying] = True
        elif len(staying) < len(alive):
            alive, slots = [alive[row] for row in staying], [slots[row] for row in staying]
            kept = torch.tensor(staying, device=batch.device)
            chosen, keys, at = chosen[kept], keys[kept], at[kept]
            batch.select(staying)
        yield
        logits = batch.feed(chosen[:, None])
        step += 1
    if sound is not None and not bool(sound):
        raise Unsound(NOT_FINITE)
