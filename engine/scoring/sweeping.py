"""Scores of many mixtures of the same models, on objectives whose texts are given: the models run
once, and every mixture is read from what they gave (`engine.decoding.forced_sweep`).

    models ── union ─► one pass over prompt + target, prompt + choices ─► log p [mixtures, tokens]
                                                                            └─► a score a mixture

Likelihood (nll, perplexity) and choices, for these texts do not depend on the mixture. What is
measured on texts that a mixture writes itself (texts, kl_to_base, strengths) does not qualify, nor
does a model that reads words of its own. Batches, scorers and summaries are those of
`engine.scoring.evaluate`, and so are the scores: a mixture by itself is read by the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.decoding.forced_sweep import Reader, reader_of
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import CANONICAL, Bucket, Tick, no_tick
from engine.decoding.memory import within_memory
from engine.decoding.soundness import check_every, check_sound
from engine.decoding.teacher_forced import swept_log_probs
from engine.scoring.choices import Choices, common, swept_alone_sums, swept_choice_sums
from engine.scoring.encoding import TextCodec
from engine.scoring.fed_texts import fed
from engine.scoring.plan import Scored, Task, tasks
from engine.scoring.progress import Meter, ProgressNote
from engine.scoring.scores import Score, summarise
from engine.study import Objective, Split

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_VALUES = 1 << 25
"""Log-probabilities of one objective kept at once: 128 MB."""


@dataclass(frozen=True)
class Group:
    """Mixtures whose models run together; the shape that an evaluation asks of a model.

    Attributes:
        mixture: of all the models; its weights mean nothing.
        mixtures: those that are scored.
        places: of each in what was given to `grouped`.
    """

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture
    vocabulary: int | None
    rows: int | None
    text: TextCodec
    mixtures: tuple[Mixture, ...]
    places: tuple[int, ...]
    own: Mapping[int, TextCodec] = field(default_factory=dict)
    cost: float = 0.0


def grouped(models: Sequence[Scored]) -> list[Group]:
    """Groups of at least two models that can be scored together, each in one of them at most.

    Two can where one's models are some of the other's, in the same order, and its logits have as
    many rows. Linear mixtures stay apart from other kinds, which take their time one by one.
    """
    order = sorted(
        (place for place, each in enumerate(models) if each.mixture is not None and not each.own),
        key=lambda place: (-len(models[place].modules), place),
    )
    found: list[tuple[Scored, list[int]]] = []
    for place in order:
        for first, places in found:
            if _within(models[place], first):
                places.append(place)
                break
        else:
            found.append((models[place], [place]))
    return [_group(first, models, sorted(places)) for first, places in found if len(places) > 1]


def _within(model: Scored, other: Scored) -> bool:
    one, whole = model.mixture, other.mixture
    assert one is not None
    assert whole is not None
    if (one.kind == "linear") != (whole.kind == "linear"):
        return False
    rest = iter(zip(whole.passes, other.modules, strict=True))
    pairs = zip(one.passes, model.modules, strict=True)
    same = all(any(n == name and m is module for n, m in rest) for name, module in pairs)
    shape = (model.rows, model.vocabulary) == (other.rows, other.vocabulary)
    return same and shape and model.text is other.text


def _group(first: Scored, models: Sequence[Scored], places: Sequence[int]) -> Group:
    mixtures = [models[place].mixture for place in places]
    assert first.mixture is not None
    return Group(
        modules=first.modules,
        mixture=first.mixture,
        vocabulary=first.vocabulary,
        rows=first.rows,
        text=first.text,
        mixtures=tuple(each for each in mixtures if each is not None),
        places=tuple(places),
    )


def evaluate_group(
    group: Group,
    objectives: Sequence[Objective],
    split: Split = "explore",
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    progress: Callable[[ProgressNote], None] | None = None,
) -> Iterator[tuple[Objective, list[Score], float, int]]:
    """Score all mixtures of a group on objectives that qualify, in the order of these.

    Yields:
        (objective as it was given, a score for each mixture, seconds of each mixture, tokens
        measured); seconds are the same share of what the objective took.

    Raises:
        BadInput: as `evaluate` does.
        Unsound: numbers of a model, or of one of the mixtures, are none: whose, each evaluated by
            itself tells.
        Apart: a batch holds fewer rows for these models than for some of them.
    """
    run = _Run(group, bucket, tick, Meter(progress))
    for objective, task in zip(objectives, tasks(group, objectives, split), strict=True):
        start = time.perf_counter()
        run.meter.begin(task.objective.name, max(1, len(task.rows)))
        scores, tokens = run.scores(task)
        yield objective, scores, (time.perf_counter() - start) / len(scores), tokens


class Apart(Exception):
    """Mixtures that cannot be scored together after all."""


class _Run:
    """A group under evaluation, with what its objectives share."""

    def __init__(self, group: Group, bucket: Bucket, tick: Tick, meter: Meter) -> None:
        self.meter = meter
        self._group = group
        self._bucket = within_memory(bucket, group)
        self._most = bucket.rows
        self._tick = tick
        self._measured: dict[Any, Tensor] = {}
        self._near: bool | None = None

    def scores(self, task: Task) -> tuple[list[Score], int]:
        """A score for each mixture, and the tokens that were measured."""
        self._refuse_smaller_batches(task)
        if self._near is None:
            self._near = check_sound(self._group, task.first_texts(), self._tick)
        sizes = [sum(len(ids) for _, ids in pairs) for pairs in task.pairs]
        share = max(1, MOST_VALUES // max(1, sum(sizes)))
        found: list[Score] = []
        mixtures = self._group.mixtures
        for start in range(0, len(mixtures), share):
            reader = reader_of(self._group, mixtures[start : start + share], self._tick)
            measure = self._likelihood if task.scorer.kind == "likelihood" else self._choice
            for observations, weights in measure(task, reader, start):
                self._tick()
                found.append(self._score(task, observations, weights))
        if self._near:
            texts = fed(pair for row in (*task.pairs, *task.alone) for pair in row)
            check_every(self._group, texts, self._tick)
        return found, sum(sizes)

    def _score(
        self, task: Task, observations: Sequence[Any], weights: Sequence[float] | None
    ) -> Score:
        scorer, options = task.scorer, task.objective.options
        pairs = zip(observations, task.rows, strict=True)
        values = [scorer.function(seen, row, **options) for seen, row in pairs]
        return summarise(scorer, values, weights, task.rows, options)

    def _likelihood(
        self, task: Task, reader: Reader, start: int
    ) -> Iterator[tuple[list[list[float]], list[int]]]:
        prompts = tuple(prompt for ((prompt, _),) in task.pairs)
        targets = tuple(target for ((_, target),) in task.pairs)
        key = (prompts, targets, start)
        if key not in self._measured:
            results = [torch.zeros(0, 0)] * len(targets)
            for indices in self._batches([len(a) + len(b) - 1 for ((a, b),) in task.pairs]):
                parts = swept_log_probs(
                    self._group,
                    reader,
                    [prompts[index] for index in indices],
                    [targets[index] for index in indices],
                    bucket=self._bucket,
                    tick=self._tick,
                )
                for index, part in zip(indices, parts, strict=True):
                    results[index] = part
            self._measured[key] = torch.cat(results, 1)
        sizes = [len(each) for each in targets]
        ends = [0, *accumulate(sizes)]
        for line in self._measured[key]:
            values = line.tolist()
            yield [values[a:b] for a, b in pairwise(ends)], sizes

    def _choice(
        self, task: Task, reader: Reader, start: int
    ) -> Iterator[tuple[list[Choices], None]]:
        results = [torch.zeros(0, 0)] * len(task.rows)
        stems = [common([prompt for prompt, _ in pairs]) for pairs in task.pairs]
        settings: dict[str, Any] = {"bucket": self._bucket, "tick": self._tick}
        for indices in self._batches([len(ids) for ids in stems]):
            rows = [task.pairs[index] for index in indices]
            found = swept_choice_sums(self._group, reader, rows, **settings)
            for index, sums in zip(indices, found, strict=True):
                results[index] = sums
        alone: list[list[list[float]]] = []
        if task.alone:
            apart = swept_alone_sums(self._group, reader, task.alone, **settings)
            alone = [each.tolist() for each in apart]
        sizes = [tuple(len(ids) for _, ids in pairs) for pairs in task.pairs]
        added = [each.tolist() for each in results]
        for place in range(reader.count):
            yield (
                [
                    Choices(
                        tuple(added[row][place]),
                        sizes[row],
                        tuple(alone[row][place]) if alone else None,
                    )
                    for row in range(len(sizes))
                ],
                None,
            )

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        done = 0
        for indices in self._bucket.batches(lengths):
            yield indices
            done += len(indices)
            self.meter.at(done)

    def _refuse_smaller_batches(self, task: Task) -> None:
        """Fewer models take less memory, so that a batch of them could hold more rows: a score
        would then depend on what it was measured with."""
        count = len(self._group.modules)
        if all(len(each.models) == count for each in self._group.mixtures):
            return
        pairs = [pair for row in (*task.pairs, *task.alone) for pair in row]
        longest = max((len(a) + len(b) for a, b in pairs), default=0)
        bucket, most = self._bucket, self._most
        if bucket.equal or bucket.horizon is not None or bucket.fit(longest) < most:
            raise Apart(f"fewer than {most} rows fit a batch of all {count} models")
