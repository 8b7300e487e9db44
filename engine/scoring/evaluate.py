"""Scores of one composed model: encode, run, measure, one objective after the other.

    text, kl,    generate with the objective's settings (shared by objectives that ask for the same)
    strength
    kl           then both models read what was generated (`beside`)
    likelihood   one teacher-forced pass over prompt + target (shared likewise)
    choice       each prompt once, its choices from there

Batches are those of the bucket, so a score depends on neither load nor what else is evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from engine.decoding.inputs import CANONICAL, Bucket, Tick, columns_of, no_tick, rows_of
from engine.decoding.loop import Kept, generate
from engine.decoding.memory import within_memory
from engine.decoding.soundness import Unsound, check_every, check_sound
from engine.decoding.teacher_forced import log_probs
from engine.scoring.begun import Begun, rest_of, with_rest
from engine.scoring.beside import Others, Unmoved, beside, observed_divergence, observed_size
from engine.scoring.choices import Choices, alone_sums, choice_sums, common
from engine.scoring.costs import Uncounted, observed_cost
from engine.scoring.encoding import Ids
from engine.scoring.fed_texts import fed, spoken
from engine.scoring.observed import Generated, Metadata, Observed
from engine.scoring.plan import Scored, Task, tasks
from engine.scoring.progress import Meter, ProgressNote, RowsWritten
from engine.scoring.registry import Scorer
from engine.scoring.sampled import observed_samples
from engine.scoring.scores import Score, summarise, unmeasured
from engine.scoring.settings import settings_of
from engine.scoring.stops import answer_in, cut
from engine.scoring.voted import Unvoted, unvoted
from engine.study import Objective, Split

__all__ = ["Metadata", "ProgressNote", "evaluate"]


@dataclass
class _Run:
    """One composed model under evaluation, with what its objectives share."""

    model: Scored
    base: Callable[[], Scored]
    bucket: Bucket
    tick: Tick
    meter: Meter
    generations: dict[Any, Generated] = field(default_factory=dict)
    measured: dict[Any, list[list[float]]] = field(default_factory=dict)
    unsound: Unsound | None = None
    near: bool | None = None
    kept: Kept | None = None
    others: Others | None = None
    begun: Mapping[str, Begun] = field(default_factory=dict)

    def watch(self, task: Task) -> None:
        """Raise `Unsound` where the model's numbers overflow: looked at once, on the first rows."""
        if self.near is None:
            self.near = True
            try:
                self.near = check_sound(self.model, task.first_texts(), self.tick)
            except Unsound as error:
                self.unsound = error
        if self.unsound is not None:
            raise self.unsound

    def watch_all(self, texts: Iterable[Sequence[int]]) -> None:
        """The same on all that the models read, where the first rows do not speak for them."""
        if self.near:
            check_every(self.model, texts, self.tick)

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """The bucket's batches one by one, with a note of progress after each."""
        done = 0
        for indices in self.bucket.batches(lengths):
            yield indices
            done += len(indices)
            self.meter.at(done)

    def generate(self, task: Task) -> Generated:
        each, found = task.objective, settings_of(task, self.model.text)
        if found.key in self.generations:
            return self.generations[found.key]
        start = time.perf_counter()
        longest, sizes = columns_of(self.model, task.prompts, task.own)
        batches = self.bucket.batches([size + each.max_new_tokens for size in longest], sizes)
        generations = generate(
            self.model,
            task.prompts,
            **found.arguments,
            bucket=self.bucket,
            tick=self.tick,
            on_tokens=RowsWritten(self.meter, batches),
            own=task.own,
            kept=self.kept,
        )
        texts = [
            cut(found.decode(one.token_ids), each.stop, each.answer_after) for one in generations
        ]
        said = spoken(generations, self.model)
        for read in (task.prompts, *task.own.values()):
            self.watch_all(fed(zip(read, said, strict=True)))
        tokens = sum(len(one.token_ids) + (one.ended == "end") for one in generations)
        seconds = time.perf_counter() - start
        self.generations[found.key] = Generated(generations, texts, tokens, seconds)
        return self.generations[found.key]

    def text(self, task: Task) -> Observed:
        found = self.generate(task)
        answers = [answer_in(each, task.objective.answer_after) for each in found.texts]
        return Observed(answers, found.tokens, generated=found)

    def likelihood(self, task: Task) -> Observed:
        prompts = tuple(prompt for ((prompt, _),) in task.pairs)
        targets = tuple(target for ((_, target),) in task.pairs)

        def measure(prompts: list[Any], texts: list[Any], rows: list[int]) -> list[Any]:
            own = rows_of(task.own, rows)
            return log_probs(
                self.model, prompts, texts, bucket=self.bucket, tick=self.tick, own=own
            )

        read = (prompts, *task.own.values())
        key = (read, targets)
        if key not in self.measured:
            found = self.teacher_forced(prompts, targets, measure, read)
            for each in read:
                self.watch_all(fed(zip(each, targets, strict=True)))
            self.measured[key] = found
        tokens = [len(each) for each in targets]
        return Observed(self.measured[key], sum(tokens), tokens)

    def teacher_forced(
        self,
        prompts: Sequence[Ids],
        texts: Sequence[Sequence[int]],
        measure: Callable[[list[Any], list[Any], list[int]], list[Any]],
        read: Sequence[Sequence[Sequence[int]]],
    ) -> list[list[float]]:
        """`measure` of (prompts, texts, their rows), one list of floats a row, batch by batch.

        Args:
            read: the prompts, and what modules read instead.
        """
        results: list[list[float]] = [[] for _ in texts]
        longest = [max(map(len, each)) for each in zip(*read, strict=True)]
        lengths = [size + len(text) - 1 for size, text in zip(longest, texts, strict=True)]
        for indices in self.batches(lengths):
            parts = measure([prompts[i] for i in indices], [texts[i] for i in indices], indices)
            for index, part in zip(indices, parts, strict=True):
                results[index] = part.tolist()
        return results

    def choice(self, task: Task) -> Observed:
        results: list[tuple[float, ...]] = [()] * len(task.rows)
        stems = [common([prompt for prompt, _ in pairs]) for pairs in task.pairs]
        longest, _ = columns_of(self.model, stems, task.own)
        for indices in self.batches(longest):
            rows = [task.pairs[index] for index in indices]
            own = rows_of(task.own, indices)
            found = choice_sums(self.model, rows, bucket=self.bucket, tick=self.tick, own=own)
            for index, sums in zip(indices, found, strict=True):
                results[index] = sums
        alone: Sequence[tuple[float, ...] | None] = [None] * len(task.rows)
        if task.alone:
            alone = alone_sums(self.model, task.alone, bucket=self.bucket, tick=self.tick)
        self.watch_all(fed(pair for row in (*task.pairs, *task.alone) for pair in row))
        for read in task.own.values():
            every = zip(read, task.pairs, strict=True)
            self.watch_all(fed((ids, scored) for ids, row in every for _, scored in row))
        sizes = [tuple(len(ids) for _, ids in pairs) for pairs in task.pairs]
        seen = [Choices(*each) for each in zip(results, sizes, alone, strict=True)]
        return Observed(seen, sum(map(sum, sizes)))

    def strength(self, task: Task) -> Observed:
        found = self.generate(task)
        seen = [[sum(each) for each in one.strengths] or [0.0] for one in found.generations]
        return Observed(seen, found.tokens, generated=found)

    def tampered(self, task: Task) -> Observed:
        """The answers of the model moved as the options say; it is as it was afterwards."""
        options = task.objective.options
        with beside(self.others).moved(options["expert"], options["step"]) as model:
            run = replace(self, model=model, generations={}, near=None, unsound=None, kept=None)
            run.watch(task)
            return run.text(task)

    def judged(
        self, scorer: Scorer, answers: Sequence[str | None], rows: Any, options: Mapping[str, Any]
    ) -> Sequence[float] | None:
        """Values of all answers at once, where the scorer's options say so."""
        if scorer.judge is None:
            return None
        device = str(self.model.modules[0].device)
        return scorer.judge(answers, rows, options, device, self.tick)

    def score(self, task: Task) -> tuple[Score, Metadata]:
        """An objective's score; one without a mean where the model's numbers are none."""
        start = time.perf_counter()
        try:
            if task.rows and not task.scorer.tampers:
                self.watch(task)
            return self._score(task)
        except (Unsound, Uncounted, Unmoved, Unvoted) as error:
            n = max(1, len(task.rows))
            seconds = time.perf_counter() - start
            metadata = Metadata(seconds=seconds, tokens=None, tokens_per_second=None, texts=None)
            return unmeasured(n, str(error), [None] * n), metadata

    def _score(self, task: Task) -> tuple[Score, Metadata]:
        start = time.perf_counter()
        scorer, options = task.scorer, task.objective.options
        known = self.begun.get(task.objective.name)
        rest = None if known is None else rest_of(task, known)
        task = task if rest is None else rest.task
        self.meter.begin(task.objective.name, max(1, len(task.rows)))
        observe = {
            "text": self.text,
            "samples": lambda task: observed_samples(self.model.text, task, self.generate),
            "kl": lambda task: observed_divergence(self, task),
            "strength": self.strength,
            "likelihood": self.likelihood,
            "choice": self.choice,
            "none": lambda task: observed_cost(self.model, task, self.generate),
            "size": lambda _: observed_size(self.model, self.others),
            "votes": unvoted,
        }
        seen = self.tampered(task) if scorer.tampers else observe[scorer.kind](task)
        rows = task.rows or [None]
        values = self.judged(scorer, seen.observations, rows, options) or [
            # no answer is right, matches nothing and refuses nothing
            0.0 if observation is None else scorer.function(observation, row, **options)
            for observation, row in zip(seen.observations, rows, strict=True)
        ]
        made = seen.generated
        if rest is not None:
            return with_rest(rest, values, seen, time.perf_counter() - start)
        score = summarise(scorer, values, seen.weights, task.rows, options)
        return score, Metadata(
            seconds=time.perf_counter() - start,
            tokens=seen.tokens,
            tokens_per_second=made.tokens / made.seconds if made and made.seconds > 0 else None,
            texts=list(made.texts) if made else None,
        )


def evaluate(
    model: Scored,
    objectives: Sequence[Objective],
    split: Split = "explore",
    *,
    base: Callable[[], Scored],
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    progress: Callable[[ProgressNote], None] | None = None,
    kept: Kept | None = None,
    others: Others | None = None,
    begun: Mapping[str, Begun] = MappingProxyType({}),
) -> Iterator[tuple[Objective, Score, Metadata]]:
    """Score a composed model on objectives, in their order; each comes as soon as it is there.

    Args:
        base: gives the family's base as it is; called for `kl_to_base` only.
        bucket: make-up of every batch; part of a score's numerics.
        tick: called before each forward; what it raises ends the evaluation, and the objectives
            that came before stand.
        progress: called at most ten times a second.
        kept: what fused models said before, which no score depends on.
        others: gives other models of the family, and this one with its weights moved.
        begun: objective -> what is known of its first rows, which are not run again.

    Yields:
        (objective as it was given, score, metadata).

    Raises:
        BadInput: anything wrong with any objective or row, with its file and line, at the first
            step and before any forward.
    """
    run = _Run(
        model, base, within_memory(bucket, model), tick, Meter(progress), kept=kept, others=others,
        begun=begun,
    )  # fmt: skip
    for objective, task in zip(objectives, tasks(model, objectives, split), strict=True):
        score, metadata = run.score(task)
        yield objective, score, metadata
