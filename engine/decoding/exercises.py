"""The same texts fed in every way that the decode loop uses, each compared with the correct logits.

The correct logits are those of the module reading the whole text: one row, no padding, no mask, no
cache. Texts are shorter and longer than windows, convolutions and chunks of a tiny model, and hold
every id now and then, those with a meaning too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.fed import feeding_of
from engine.decoding.feeding import Feeding
from engine.decoding.inputs import Bucket, embedded, no_tick
from engine.errors import bad
from engine.family.text import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from engine.decoding.fusion import Mixture

LENGTHS = (1, 5, 11, 11, 23, 23)
"""Tokens of each prompt."""

MORE = 6
"""Tokens after each prompt."""

TOLERANCE = 5e-5
"""Largest difference of a logit, for logits of a spread of 1 or less; in proportion beyond."""


FAR = 100
"""Tokens of one more text, longer than a class's blocks, where it has as many positions."""

TRIES = 8
"""Texts that are looked at for a sound one."""

_FAILURES = (
    RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, AssertionError,
)  # fmt: skip


def _close(one: Tensor, two: Tensor, tolerance: float) -> bool:
    return float((one - two).abs().max()) < tolerance


@dataclass(frozen=True)
class Alone:
    """One module, to be run."""

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture | None = None
    vocabulary: int | None = None
    rows: int | None = None


class Exercises:
    """Each method feeds the texts in one way, following the module's feeding, and returns whether
    every logit is right.

    Attributes:
        reason: what was wrong last, for a message.

    Raises:
        BadInput: the module cannot read a text alone, or its logits depend on what follows.
    """

    def __init__(self, module: PreTrainedModel) -> None:
        self.module = module
        self.reason = ""
        try:
            found = [self._sound_text(length) for length in LENGTHS]
            self.far = [1] * min(FAR, self._positions())
            self.right_of_far = self._read(self.far)
        except _FAILURES as error:
            what = f"its class does not run on text alone ({first_line(error)})"
            raise bad(module.config.model_type, what, "Use a model of another class.") from error
        self.texts = [text for text, _ in found]
        self.right = [right for _, right in found]
        spread = max(float(each.std()) for each in self.right)
        self.tolerance = TOLERANCE * max(1.0, spread)

    def _sound_text(self, length: int) -> tuple[list[int], Tensor]:
        """A text whose logits are what they are by more than rounding, and do not depend on what
        follows. A class that picks the k best of its keys or experts may stand at a tie."""
        source = torch.Generator().manual_seed(length + len(LENGTHS))
        trouble = ""
        for _ in range(TRIES):
            size = embedded(self.module)
            text = torch.randint(0, size, (length + MORE,), generator=source).tolist()
            right = self._read(text)
            if not bool(right.isfinite().all()):
                raise ValueError("its logits are NaN")
            near = 10 * TOLERANCE * max(1.0, float(right.std()))
            with self._jolted():
                trouble = (
                    "" if _close(self._read(text), right, near) else "its logits are discontinuous"
                )
            if not _close(self._read(text[:length]), right[:length], near):
                trouble = (
                    "its prediction for a token depends on later tokens: it is not a causal model"
                )
            if not trouble:
                return text, right
        raise ValueError(trouble)

    def _positions(self) -> int:
        """Positions that the class has; as many as are wanted where it says nothing."""
        config = self.module.config.get_text_config()
        return getattr(config, "max_position_embeddings", None) or FAR

    @contextmanager
    def _jolted(self) -> Iterator[None]:
        """The embedding moved by a hundredth of what a logit may differ by."""
        weight = cast("Tensor", self.module.get_input_embeddings().weight)
        before = weight.detach().clone()
        source = torch.Generator().manual_seed(3)
        weight.add_(TOLERANCE / 100 * torch.randn(weight.shape, generator=source))
        try:
            yield
        finally:
            weight.copy_(before)

    @torch.inference_mode()
    def _read(self, text: Sequence[int]) -> Tensor:
        return self.module(input_ids=torch.tensor([list(text)]), use_cache=False).logits[0].float()

    # ---- ways of feeding ---------------------------------------------------------------------

    def alone(self) -> bool:
        """Each prompt in one call, and a much longer text."""

        def far() -> bool:
            batch = self._batch([0], prompts=[self.far])
            (_, logits) = list(batch.read())[-1]
            return self._near(logits[0, -1:], self.right_of_far[-1:])

        return self._each(lambda row: self._prompt_and_steps([row], steps=0)) and self._try(far)

    def step_by_step(self) -> bool:
        """Each prompt in one call, then one token per step."""
        return self._each(lambda row: self._prompt_and_steps([row]))

    def in_pieces(self) -> bool:
        """Each text in pieces of several lengths, some longer than a window."""

        def pieces(row: int) -> bool:
            batch = self._batch([row], prompts=[self.texts[row]])
            start, fine = 0, True
            for size in (4, 1, 9, 2, 3, 40):
                stop = min(start + size, len(self.texts[row]))
                if stop > start:
                    fine &= self._same(
                        batch.feed(batch.prompts[:, start:stop], stop - start)[0], row, start
                    )
                start = stop
            return fine

        return self._each(pieces)

    def together(self) -> bool:
        """Prompts of one length in a batch."""
        if self._feeding.rows == "alone":
            return True
        pairs = [(2, 3), (4, 5), (4, 4, 5)]
        return all(
            self._try(functools.partial(self._prompt_and_steps, list(pair))) for pair in pairs
        )

    def padded(self) -> bool:
        """Every prompt in a batch, with little padding and with much, in one call and in pieces."""

        def pieces(rows: list[int], multiple: int) -> bool:
            batch, fine, start = self._batch(rows, multiple), True, 0
            while start < batch.width:
                stop = min(start + 3, batch.width)
                logits = batch.feed(batch.prompts[:, start:stop], stop - start)
                start = stop
            for line, row in enumerate(rows):
                fine &= self._same(logits[line, -1:], row, LENGTHS[row] - 1)
            for step in range(MORE):
                fine &= self._step(batch, rows, step)
            return fine

        return self._mixed(
            lambda rows, multiple: self._prompt_and_steps(rows, multiple=multiple)
        ) and self._mixed(pieces)

    def leaving(self) -> bool:
        """Rows leave at different steps, and change places."""

        def leave(rows: list[int], multiple: int) -> bool:
            batch, fine = self._read_batch(rows, multiple)
            for step in range(MORE):
                if step in (1, 3):
                    chosen = list(range(len(rows)))[::-1][: max(1, len(rows) - step)]
                    batch.select(chosen)
                    rows = [rows[each] for each in chosen]
                fine &= self._step(batch, rows, step)
            return fine

        return self._mixed(leave)

    def branching(self) -> bool:
        """Copies of rows continue by several tokens, and so does the batch they came from."""

        def branch(rows: list[int], multiple: int) -> bool:
            batch, fine = self._read_batch(rows, multiple)
            chosen = [0, len(rows) - 1, 0]
            for step in range(2):
                other = batch.branch(chosen)
                some = [rows[each] for each in chosen]
                ids = torch.tensor([self.texts[row][LENGTHS[row] + step :][:3] for row in some])
                logits = other.feed(ids, keep=3)
                fine &= all(
                    self._same(logits[line], row, LENGTHS[row] + step)
                    for line, row in enumerate(some)
                )
                fine &= self._step(batch, rows, step)
            return fine

        return self._mixed(branch)

    # ---- inside ------------------------------------------------------------------------------

    @property
    def _feeding(self) -> Feeding:
        return feeding_of(self.module)

    def _each(self, exercise: Callable[[int], bool]) -> bool:
        return all(self._try(functools.partial(exercise, row)) for row in range(len(self.texts)))

    def _mixed(self, exercise: Callable[[list[int], int], bool]) -> bool:
        """The exercise on every row, padded a little, more and much (decays add up over a chunk, so
        that rounding grows with it), or on rows of one length."""
        rows = self._feeding.rows
        if rows == "mixed":
            ways = [([0, 1, 2, 4, 5], 1), ([4, 0, 3, 1], 16), ([2, 4], 64)]
        else:
            ways = [([4, 5], 1), ([2, 3], 1)] if rows == "equal" else [([1], 1), ([4], 1)]
        return all(self._try(functools.partial(exercise, *way)) for way in ways)

    def _try(self, exercise: Callable[[], bool]) -> bool:
        """Whether it holds; a class that cannot be fed so says it by any error it likes."""
        try:
            return exercise()
        except Exception as error:
            self.reason = first_line(error)
            return False

    def _batch(
        self, rows: list[int], multiple: int = 1, prompts: list[list[int]] | None = None
    ) -> Batch:
        given = [self.texts[row][: LENGTHS[row]] for row in rows] if prompts is None else prompts
        return Batch(Alone((self.module,)), given, Bucket(len(rows), multiple), no_tick)

    def _read_batch(self, rows: list[int], multiple: int) -> tuple[Batch, bool]:
        batch = self._batch(rows, multiple)
        longest = max(LENGTHS[row] for row in rows)
        parts = [logits for _, logits in batch.read(longest)]
        logits, fine = torch.cat(parts, 1), True
        for line, row in enumerate(rows):
            fine &= self._same(logits[line, -LENGTHS[row] :], row, 0)
        return batch, fine

    def _prompt_and_steps(self, rows: list[int], steps: int = MORE, multiple: int = 1) -> bool:
        batch, fine = self._read_batch(rows, multiple)
        for step in range(steps):
            fine &= self._step(batch, rows, step)
        return fine

    def _step(self, batch: Batch, rows: list[int], step: int) -> bool:
        ids = torch.tensor([[self.texts[row][LENGTHS[row] + step]] for row in rows])
        logits = batch.feed(ids)
        return all(
            self._same(logits[line], row, LENGTHS[row] + step) for line, row in enumerate(rows)
        )

    def _same(self, logits: Tensor, row: int, start: int) -> bool:
        """Whether logits [columns, ids] are the right ones of a row from a place on."""
        return self._near(logits, self.right[row][start : start + len(logits)])

    def _near(self, logits: Tensor, right: Tensor) -> bool:
        difference = float((logits - right).abs().max())
        if difference <= self.tolerance:
            return True
        self.reason = f"a logit differs by {difference:.2g}"
        return False
