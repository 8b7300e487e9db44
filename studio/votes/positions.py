"""The posterior over slider positions of a study: its front as candidates, its votes as duels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.front.preference import terms
from studio.decide.front import front_over, frozen, varying
from studio.points.view import Axis, Measured, axes_of
from studio.shared import once
from studio.votes.ballots import PERSON, Vote, given
from studio.votes.counting import compared
from studio.votes.posterior import posterior
from studio.workbench import Workbench


@dataclass(frozen=True)
class Proposal:
    """What votes say about a front.

    Attributes:
        best: id of the point of the largest posterior utility.
        regret: expected, in units of an objective's range.
        pair: ids of the two points to compare next; None where no two differ.
        position: objective -> mean and standard deviation of its weight.
        questions: comparisons that it rests on.
    """

    best: str
    regret: float
    pair: tuple[str, str] | None
    position: Mapping[str, tuple[float, float]]
    questions: int

    def document(self) -> dict[str, Any]:
        """As commands print it."""
        weights = {name: {"mean": m, "sd": sd} for name, (m, sd) in self.position.items()}
        pair = None if self.pair is None else list(self.pair)
        return {
            "best": self.best, "expected_regret": self.regret, "next_pair": pair,
            "position": weights, "questions": self.questions,
        }  # fmt: skip


def measured_axes(bench: Workbench) -> tuple[Axis, ...]:
    """The objectives that a position weighs: those that vary, votes themselves not among them."""
    scored = [each for each in bench.objectives if each.scorer != "votes"]
    return varying(bench.measured(), axes_of(scored))


def proposal(bench: Workbench, axes: Sequence[Axis], by: str = PERSON) -> Proposal | None:
    """What a voter's votes say about the front over these axes; None without two points on it.

    Votes on points off the front count too, where these are measured on every axis.
    """
    measured, votes = bench.measured(), [each for each in given(bench) if each.by == by]
    key = ("proposal", tuple(axes), by, given(bench))

    def make() -> Proposal | None:
        return _proposal(measured, axes, votes, len(bench.names.models))

    found: Proposal | None = once(measured, key, make)
    return found


def _proposal(
    measured: Measured, axes: Sequence[Axis], votes: Sequence[Vote], models: int
) -> Proposal | None:
    front = front_over(measured, axes, frozen(measured, axes, models))
    if len(front.rows) < 2:
        return None
    columns = [measured.column(axis.name) for axis in axes]
    duels = []
    rows = dict.fromkeys(front.rows.tolist())
    for one, other, score in compared(votes):
        first, second = measured.row_of.get(one), measured.row_of.get(other)
        if first is None or second is None:
            continue
        if np.isfinite(measured.mean[[first, second]][:, columns]).all():
            rows.update(dict.fromkeys((first, second)))
            duels.append((first, second, score))
    order = list(rows)
    place = {row: n for n, row in enumerate(order)}
    values = measured.mean[order][:, columns]
    scaled = terms(front.names, values, front.maximize, front.ranges)
    found = posterior(scaled, [(place[a], place[b], score) for a, b, score in duels])
    found = replace(found, utility=found.utility[:, : len(front.rows)])
    pair = found.next_pair()
    mean, spread = found.position.tolist(), found.spread.tolist()
    return Proposal(
        measured.ids[order[found.best]],
        found.regret,
        None if pair is None else (measured.ids[order[pair[0]]], measured.ids[order[pair[1]]]),
        dict(zip(front.names, zip(mean, spread, strict=True), strict=True)),
        len(duels),
    )


def proposal_words(found: Proposal, name: Callable[[str], str]) -> list[str]:
    """A proposal in lines.

    Args:
        name: what to call a point.
    """
    weights = ", ".join(f"{name} {m:.2f} ± {sd:.2f}" for name, (m, sd) in found.position.items())
    return [
        f"These votes are served best by {name(found.best)}; expected regret "
        f"{found.regret:.3f} of a range.",
        f"Weights that fit them: {weights}.",
    ]
