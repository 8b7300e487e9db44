"""Texts of several mixtures of the same models, written together before each is scored.

    mixtures ── tasks that generate ── rows are distinct prefixes ──► what the models said is kept
                                                                        └─► each scored from there

A score is made by `engine.scoring.evaluate` as ever and does not depend on this: it decides every
token anew from what was kept, and runs the models where nothing was. So this is only for mixtures
whose texts it takes from there (`engine.decoding.margin`), and for as much as can be kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.decoding.grid import Fed, write_ahead
from engine.decoding.hidden import kept_bytes
from engine.decoding.inputs import Tick
from engine.decoding.margin import Margin
from engine.decoding.prefixes import LARGEST, Prefixes
from engine.scoring.plan import Scored, Task, tasks
from engine.scoring.progress import Meter, ProgressNote
from engine.scoring.settings import Settings, settings_of
from engine.study import Objective, Split


@dataclass(frozen=True)
class Plan:
    """What mixtures of the same models write on objectives.

    Attributes:
        model: one of them.
        jobs: tasks that generate, those of the same texts once.
        bytes: kept of one mixture at most.
    """

    model: Scored
    jobs: tuple[tuple[Task, Settings], ...]
    bytes: int

    def part(self, prefixes: Prefixes, share: float) -> float:
        """Of the room for what is kept, where this share of a mixture's tokens is distinct."""
        return self.bytes * share * LARGEST / prefixes.limit


def plan(model: Scored, objectives: Sequence[Objective], split: Split) -> Plan | None:
    """The plan for a model's mixture and others of its models; None if nothing can be kept.

    Raises:
        BadInput: as `engine.scoring.evaluate` does.
    """
    mixture = model.mixture
    if mixture is None:
        return None
    dtypes = [module.dtype for module in model.modules]
    jobs: dict[object, tuple[Task, Settings]] = {}
    for task in tasks(model, objectives, split):
        if task.scorer.generates and not task.scorer.tampers and task.prompts:
            settings = settings_of(task, model.text)
            if Margin(mixture, settings.sampling, dtypes).tells:
                jobs.setdefault(settings.key, (task, settings))
    if not jobs:
        return None
    size = sum(map(kept_bytes, model.modules))
    tokens = sum(len(task.prompts) * each.max_new_tokens for task, each in jobs.values())
    return Plan(model, tuple(jobs.values()), tokens * size)


def write_texts(
    made: Plan,
    models: Sequence[Scored],
    prefixes: Prefixes,
    *,
    tick: Tick,
    progress: Callable[[ProgressNote], None],
) -> tuple[dict[str, float], Fed]:
    """Have the models say what the texts of mixtures need.

    Args:
        models: of the plan's modules.
        progress: called at most ten times a second.

    Returns:
        objective -> seconds, of those that were first to need them; and the tokens.
    """
    meter, seconds, total = Meter(progress), {}, Fed(0, 0)
    mixtures = [each.mixture for each in models if each.mixture is not None]
    for task, settings in made.jobs:
        start = time.perf_counter()
        meter.begin(task.objective.name, len(task.prompts))
        fed = write_ahead(
            prefixes,
            made.model,
            mixtures,
            task.prompts,
            **settings.arguments,
            tick=tick,
            own=task.own,
            told=meter.at,
        )
        total = Fed(total.distinct + fed.distinct, total.all + fed.all)
        seconds[task.objective.name] = time.perf_counter() - start
    return seconds, total
