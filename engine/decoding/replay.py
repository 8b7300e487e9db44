"""Texts decided from what is kept of the models, and gone on with from where it ends.

    prompt 0   ══════════════════ ended            ═ replayed: projected, combined, chosen; no model
    prompt 1   ═════════▶──────── ended            ▶ the prompt's memory, and what was replayed as
    prompt 2   ══════════════════ ended              one chunk; from there like any batch

A text does not depend on what was kept. Numbers from another batch differ by rounding alone; where
the best two of a step are so close that it might tell, the batch is written as if nothing were kept
(`Undecided`). That holds where the margin is all that tells: in float32, for mixtures that are
continuous in the logits, and without top_k and top_p. Elsewhere texts are replayed only where the
caller allows them to differ like those of two make-ups of a batch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.fusion import Mixture, combine
from engine.decoding.hidden import logits_of
from engine.decoding.inputs import (
    Bucket,
    Fused,
    Own,
    Prompts,
    Tick,
    embedded,
    followed,
    readings,
    rows_of,
)
from engine.decoding.prefixes import Anchor, Prefixes, Recorder, Run, begin, resumes
from engine.decoding.sampling import Sampling, chances
from engine.decoding.writing import Decided, Line, Undecided, Writing, write

MARGIN = 1e-4
"""Between the best two logits, beyond which no make-up of a batch chooses another in float32."""

ROUNDING = 2.0**-18
"""The same as a share of the numbers that are summed up; 32 times float32's unit."""

VALUES = 1 << 24
"""Logits that are projected at a time, of each model."""

CONTINUOUS = frozenset(("linear", "forward_kl", "alpha"))
"""Kinds whose results are as close as the logits are."""

REPLAYED = CONTINUOUS | {"nucleus", "plausible", "dynamic"}
"""Kinds that have every model run at every place."""


@dataclass(frozen=True)
class Kept:
    """What a request may take from what is kept.

    Attributes:
        exact: texts must not depend on it, in any dtype.
    """

    prefixes: Prefixes
    exact: bool = True


@dataclass(eq=False)
class _Walk:
    """A text on its way along the runs.

    Attributes:
        anchor: where it is to go on.
        run: the last one that it came through, or is in.
        place: of the next token in that run.
        count: places of it that are looked at together.
    """

    line: Line
    anchor: Anchor
    run: Run | None = None
    place: int = 0
    count: int = 0

    def enter(self, prefixes: Prefixes) -> bool:
        """Go on in the run that begins here, if there is one."""
        found = prefixes.at(self.anchor)
        if found is not None:
            self.run, self.place = found, 0
        return found is not None


class Replay:
    """Writes a batch of a request.

    Args:
        prompts: of its rows; `own` likewise.
    """

    def __init__(
        self,
        kept: Kept,
        model: Fused,
        mixture: Mixture,
        prompts: Prompts,
        own: Own,
        bucket: Bucket,
        tick: Tick,
        writing: Writing,
    ) -> None:
        self._prefixes = kept.prefixes
        self._model = model
        self._mixture = mixture
        self._prompts = prompts
        self._own = own
        self._bucket = bucket
        self._tick = tick
        self._writing = writing
        self._scale = 0.0
        self._tells = _margin_tells(model, mixture, writing.sampling)
        self._order = sorted(range(len(model.modules)), key=lambda at: id(model.modules[at]))
        self._roots: list[Anchor] = []
        if mixture.kind in REPLAYED and (self._tells or not kept.exact):
            said, reads = readings(model, prompts, own)
            passes = [(model.modules[at], said[reads[at]]) for at in self._order]
            for row in range(len(prompts)):
                key = tuple((module, tuple(each[row])) for module, each in passes)
                self._roots.append((None, key))

    def write(self, lines: list[Line]) -> Generator[None, None, list[Line]]:
        """Write every text to its end.

        Returns:
            the lines, in order; others than were given where they had to be written again.
        """
        if self._roots and all(self._prefixes.at(each) is not None for each in self._roots):
            try:
                yield from self._known(lines)
                return lines
            except Undecided:
                lines = [Line(each.index, each.key) for each in lines]
        batch = self._batch(self._prompts, self._own)
        logits = begin(batch, self._prefixes)
        yield from self._recorded(batch, logits, lines, self._roots)
        return lines

    def _batch(self, prompts: Prompts, own: Own) -> Batch:
        return Batch(self._model, prompts, self._bucket, self._tick, own=own)

    def _recorded(
        self,
        batch: Batch,
        logits: Tensor,
        lines: Sequence[Line],
        anchors: Sequence[Anchor],
        decided: Decided | None = None,
    ) -> Generator[None, None, None]:
        recorder = Recorder(self._prefixes, batch, anchors, self._order) if anchors else None
        try:
            yield from write(batch, logits, lines, self._writing, recorder, decided)
        finally:  # of a text that is given up too: a slider that moves on leaves many
            if recorder is not None:
                recorder.store()

    # ---- what is known -----------------------------------------------------------------------

    def _known(self, lines: list[Line]) -> Generator[None, None, None]:
        """Replay what is known, then go on with what is not."""
        walks = [_Walk(*each) for each in zip(lines, self._roots, strict=True)]
        going = [each for each in walks if each.enter(self._prefixes)]
        while going:
            going = [each for part in self._parts(going) for each in self._round(part)]
        for each in walks:
            if each.run is not None:
                self._prefixes.touch(each.run)
        rows = [row for row, line in enumerate(lines) if line.ended is None]
        if rows:
            batch, logits = self._going_on(rows, [lines[row].written for row in rows])
            left, anchors = [lines[row] for row in rows], [walks[row].anchor for row in rows]
            yield from self._recorded(batch, logits, left, anchors, self._decided)

    def _parts(self, walks: Sequence[_Walk]) -> list[list[_Walk]]:
        """The walks, those together whose next stretches are projected together."""
        most = max(1, VALUES // (self._model.rows or embedded(self._model.modules[0])))
        parts: list[list[_Walk]] = []
        total = 0
        for each in walks:
            assert each.run is not None
            left = self._writing.most - len(each.line.written)
            each.count = min(len(each.run.tokens) - each.place, left, most)
            if not parts or total + each.count > most:
                parts.append([])
                total = 0
            parts[-1].append(each)
            total += each.count
        return parts

    def _round(self, walks: Sequence[_Walk]) -> list[_Walk]:
        """Choose along the next stretch of each; those that are in a run then."""
        chosen, start, going = self._chosen(walks), 0, []
        for each in walks:
            stop = start + each.count
            if self._follow(each, chosen[start:stop]):
                going.append(each)
            start = stop
        return going

    def _follow(self, walk: _Walk, chosen: Sequence[_Chosen]) -> bool:
        """Take tokens as long as the run goes on with them; whether it is in a run then."""
        run = walk.run
        assert run is not None
        for place, (token, clear, strengths) in enumerate(chosen, walk.place):
            if not clear:
                raise Undecided
            walk.line.strengths += strengths
            walk.anchor = run, (place, token)
            if not self._writing.take(walk.line, token):
                return False
            if token != run.tokens[place] or place + 1 == len(run.tokens):
                return walk.enter(self._prefixes)
        walk.place += len(chosen)
        return True

    @torch.inference_mode()
    def _chosen(self, walks: Sequence[_Walk]) -> list[_Chosen]:
        """The choice at every place of the next stretches, one after the other."""
        logits: dict[int, Tensor] = {}
        for n, at in enumerate(self._order):
            kept = [each.run.kept[n][each.place :][: each.count] for each in walks if each.run]
            found = logits_of(self._model.modules[at], torch.cat(kept))
            logits[at] = found[:, : self._model.rows]
        each_model = [logits[at] for at in range(len(logits))]
        if self._tells:
            total = max(1.0, sum(map(abs, self._mixture.weights)))
            self._scale = max(self._scale, total * max(float(e.abs().max()) for e in each_model))
        said: list[Tensor] = []
        fused = combine(self._mixture, each_model, self._model.vocabulary, said)
        places = [
            (each.line.key, len(each.line.written) + n) for each in walks for n in range(each.count)
        ]
        keys, positions = torch.tensor(places, device=fused.device).unbind(1)
        found = chances(fused, self._writing.sampling, keys, positions)
        tokens, clear = found.argmax(-1).tolist(), self._decided(found).tolist()
        steered = [[tuple(each)] for each in said[0].tolist()] if said else [[]] * len(tokens)
        return list(zip(tokens, clear, steered, strict=True))

    # ---- what is not -------------------------------------------------------------------------

    def _going_on(self, rows: list[int], texts: Prompts) -> tuple[Batch, Tensor]:
        """A batch of these rows that has read what is written of each, and its last logits."""
        batch = self._batch(self._prompts, self._own)
        if resumes(batch, self._prefixes, [len(each) for each in texts]):
            begin(batch, self._prefixes)
            batch.select(rows)
            batch.extend([each[:-1] for each in texts])
            batch.keep(on=True)
            return batch, batch.feed(torch.tensor([each[-1:] for each in texts]).to(batch.device))
        if batch.feeding.rows != "mixed" and len(rows) > 1:
            raise Undecided  # rows of several lengths by now
        prompts = [[*self._prompts[row], *text] for row, text in zip(rows, texts, strict=True)]
        batch = self._batch(prompts, followed(rows_of(self._own, rows), texts))
        batch.keep(on=True)
        return batch, list(batch.read())[-1][1]

    def _decided(self, found: Tensor) -> Tensor:
        """bool [rows] of `chances` [rows, vocabulary]: whether the largest is clearly that."""
        best = found.topk(min(2, found.shape[-1])).values
        least = max(MARGIN, ROUNDING * self._scale) if self._tells else 0.0
        if not self._writing.sampling.greedy:
            least /= self._writing.sampling.temperature
        return (best[:, 0] - best[:, -1] > least) & best[:, 0].isfinite()


_Chosen = tuple[int, bool, list[tuple[float, ...]]]
"""A token, whether it is clearly the one, and the strengths that it was chosen with, if any."""


def _margin_tells(model: Fused, mixture: Mixture, sampling: Sampling) -> bool:
    """Whether a margin says that another make-up of the batch chooses the same."""
    warped = not sampling.greedy and (sampling.top_p < 1.0 or sampling.top_k > 0)
    exact = all(module.dtype == torch.float32 for module in model.modules)
    return exact and mixture.kind in CONTINUOUS and not warped
