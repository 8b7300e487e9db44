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
    no_tick,
    rows_of,
)
from engine.decoding.margin import CONTINUOUS, Margin
from engine.decoding.prefixes import Anchor, Prefixes, Run, Tail
from engine.decoding.recording import Recorder, anchors_of, begin, order_of, resumes
from engine.decoding.sampling import chances
from engine.decoding.writing import Decided, Line, Undecided, Writing, write

VALUES = 1 << 24
"""Logits that are projected at a time, of each model."""

SMALL = 1 << 18
"""Logits of a run, of one model, up to which they are kept beside it once they were asked for."""

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
        self._vocabulary = model.rows or embedded(model.modules[0])
        dtypes = [module.dtype for module in model.modules]
        self._margin = Margin(mixture, writing.sampling, dtypes)
        self._order = order_of(model)
        allowed = mixture.kind in REPLAYED and (self._margin.tells or not kept.exact)
        self._roots = anchors_of(model, prompts, own) if allowed else []

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
        logits = batch.combined(begin(batch, self._prefixes))
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
            self._end(batch, lines)
        finally:  # of a text that is given up too: a slider that moves on leaves many
            if recorder is not None:
                recorder.store()

    def _end(self, batch: Batch, lines: Sequence[Line]) -> None:
        """Keep where a prompt's text ended that was written alone."""
        if not self._roots or len(self._prompts) > 1:
            return
        [line] = lines
        [behind] = {each.column - each.width for each in batch.readings}
        if behind == len(line.written) - (line.ended != "end"):  # not in the prompt, if it went on
            batch.tick = no_tick
            self._prefixes.keep_tail(self._alone(), Tail(batch, tuple(line.written[:behind])))

    def _alone(self) -> object:
        return "tail", self._roots[0][1], tuple(self._model.modules)

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
            yield from self._recorded(batch, logits, left, anchors, self._margin.decided)

    def _parts(self, walks: Sequence[_Walk]) -> list[list[_Walk]]:
        """The walks, those together whose next stretches are projected together."""
        most = max(1, VALUES // self._vocabulary)
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
        logits = [each[:, : self._model.rows] for each in self._logits(walks)]
        self._margin.see(logits)
        said: list[Tensor] = []
        found = combine(self._mixture, logits, self._model.vocabulary, said)
        if not self._writing.sampling.greedy:
            count = [(each, n) for each in walks for n in range(each.count)]
            places = [(each.line.key, len(each.line.written) + n) for each, n in count]
            keys, positions = torch.tensor(places, device=found.device).unbind(1)
            found = chances(found, self._writing.sampling, keys, positions)
        tokens, clear = self._margin.choices(found)
        steered = [[tuple(each)] for each in said[0].tolist()] if said else [[]] * len(tokens)
        return list(zip(tokens, clear, steered, strict=True))

    def _logits(self, walks: Sequence[_Walk]) -> list[Tensor]:
        """Of each module at every place of the next stretches, float32 [places, vocabulary]."""
        modules = [self._model.modules[at] for at in self._order]
        runs = [
            (each.run, slice(each.place, each.place + each.count)) for each in walks if each.run
        ]
        (run, places), *others = runs
        small = len(run.tokens) * self._vocabulary <= SMALL
        if not others and small and len(modules) > 1:
            if not run.logits:
                found = map(logits_of, modules, run.kept)
                self._prefixes.say(run, tuple(found))
            said = [each[places] for each in run.logits]
        else:
            kept = (torch.cat([run.kept[n][at] for run, at in runs]) for n in range(len(modules)))
            said = list(map(logits_of, modules, kept))
        return [said[self._order.index(at)] for at in range(len(modules))]

    # ---- what is not -------------------------------------------------------------------------

    def _going_on(self, rows: list[int], texts: Prompts) -> tuple[Batch, Tensor]:
        """A batch of these rows that has read what is written of each, and its last logits."""
        tail = self._prefixes.tail(self._alone()) if len(self._prompts) == 1 else None
        if tail is not None:
            [text] = texts
            batch, same = tail.until(text[:-1])
            batch.model, batch.tick = self._model, self._tick
            return self._fed(batch, [text[same:]])
        batch = self._batch(self._prompts, self._own)
        if resumes(batch, self._prefixes, [len(each) for each in texts]):
            begin(batch, self._prefixes)
            batch.select(rows)
            return self._fed(batch, texts)
        if batch.feeding.rows != "mixed" and len(rows) > 1:
            raise Undecided  # rows of several lengths by now
        prompts = [[*self._prompts[row], *text] for row, text in zip(rows, texts, strict=True)]
        batch = self._batch(prompts, followed(rows_of(self._own, rows), texts))
        batch.keep(on=True)
        return batch, list(batch.read())[-1][1]

    def _fed(self, batch: Batch, texts: Prompts) -> tuple[Batch, Tensor]:
        """The batch with these texts, none empty, and its last logits."""
        batch.extend([each[:-1] for each in texts])
        batch.keep(on=True)
        return batch, batch.feed(torch.tensor([each[-1:] for each in texts], device=batch.device))


_Chosen = tuple[int, bool, list[tuple[float, ...]]]
"""A token, whether it is clearly the one, and the strengths that it was chosen with, if any."""
