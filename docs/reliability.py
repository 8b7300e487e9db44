"""How often points are on the true front that are said to be on it with probability p: simulated,
with truths that are known. `python -m docs.reliability` writes the table of docs/noise.md (two
minutes).

    truths of 40 mixtures ──► answers to the same rows ──► probabilities ──► against the true front

Rows differ in how hard they are, so that points err together; two of the three objectives are
proportions, one a mean.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engine.front.noise import Results, errors
from engine.front.pareto import front_mask
from engine.front.sure import sureness

PAGE = Path(__file__).parent / "noise.md"
NAMES, MAXIMIZE = ("right", "safe", "loss"), np.array([True, True, False])
POINTS, WORLDS = 40, 250
EDGES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
HARD = 0.6
"""Share of an answer's variance that is the row's."""

Truths = Callable[[np.random.Generator], np.ndarray]
"""Truths of the points, float64 [points, 3]: two probits and a mean."""


def scattered(random: np.random.Generator) -> np.ndarray:
    """Methods that have nothing to do with each other."""
    return random.normal(0.0, 0.5, (POINTS, 3))


def trading(random: np.random.Generator) -> np.ndarray:
    """One gains what the other loses, give or take."""
    along = random.normal(0.0, 0.6, POINTS)
    truth = np.stack([along, -along, random.normal(0.0, 0.3, POINTS)], axis=1)
    return truth + random.normal(0.0, 0.15, (POINTS, 3))


def smooth(random: np.random.Generator) -> np.ndarray:
    """A sweep of two sliders: all points lie on one smooth surface."""
    a, b = random.uniform(0.0, 1.5, (2, POINTS))
    right, safe = 1.3 * a - 0.45 * a**2 - 0.35 * b, 1.1 * b - 0.35 * b**2 - 0.3 * a
    return np.stack([right - 0.3, safe - 0.2, 0.3 * (a - 0.6) ** 2 + 0.25 * (b - 0.5) ** 2], axis=1)


def measured(random: np.random.Generator, truth: np.ndarray, rows: int) -> list[Results]:
    """What the points answer to so many rows."""
    found = []
    for column, name in enumerate(NAMES):
        hard = np.sqrt(HARD) * random.normal(size=(1, rows))
        answer = truth[:, [column]] + hard + np.sqrt(1 - HARD) * random.normal(size=(POINTS, rows))
        values = answer if name == "loss" else (answer > 0).astype(float)
        stderr = values.std(axis=1, ddof=1) / np.sqrt(rows)
        kind = "mean" if name == "loss" else "proportion"
        found.append(Results(kind, values.mean(axis=1), stderr, values, name))  # type: ignore[arg-type]
    return found


def said_and_true(
    truths: Truths, rows: int, worlds: int = WORLDS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all points of all worlds: the probability said, whether each is on the true front, and
    whether its means are on the front of the means."""
    said, true, seen = [], [], []
    probit = np.vectorize(statistics.NormalDist().cdf)
    for world in range(worlds):
        random = np.random.default_rng((seed, world))
        truth = truths(random)
        results = measured(random, truth, rows)
        mean, stderr = (
            np.stack([getattr(each, name) for each in results], axis=1)
            for name in ("mean", "stderr")
        )
        error = errors([each.kind for each in results], mean, stderr, np.full(mean.shape, rows))
        sure = sureness(NAMES, MAXIMIZE, mean, error, lambda places, r=results: _only(r, places))
        said.append(sure.front)
        true.append(front_mask(np.column_stack([probit(truth[:, :2]), truth[:, 2]]), MAXIMIZE))
        seen.append(front_mask(mean, MAXIMIZE))
    return np.concatenate(said), np.concatenate(true), np.concatenate(seen)


def _only(results: list[Results], places: np.ndarray) -> list[Results]:
    return [each.only(places) for each in results]


def curve(said: np.ndarray, true: np.ndarray) -> Iterator[tuple[float, float, float, int]]:
    """Of each bin of probabilities: what was said, how often it was true, the error of that share,
    and how many points."""
    which = np.digitize(said, EDGES[1:-1])
    for place in range(len(EDGES) - 1):
        chosen = which == place
        count = int(chosen.sum())
        if count:
            share = float(true[chosen].mean())
            smoothed = (share * count + 0.5) / (count + 1)
            error = float(np.sqrt(smoothed * (1 - smoothed) / count))
            yield float(said[chosen].mean()), share, error, count


def table() -> str:
    """The reliability curves in Markdown."""
    lines = []
    for words, truths, rows in (
        ("Unrelated points, 64 rows", scattered, 64),
        ("Points that trade one objective for another, 64 rows", trading, 64),
        ("The same, 300 rows", trading, 300),
        ("A smooth sweep of two sliders, 300 rows", smooth, 300),
    ):
        said, true, seen = said_and_true(truths, rows)
        lines += [f"**{words}**: {true.mean():.0%} of the points are truly on the front,"]
        lines += [f"{seen.mean():.0%} by their means, {said.mean():.0%} by their probabilities.\n"]
        lines += ["| said | true | points |", "|---|---|---|"]
        lines += [
            f"| {p:.3f} | {share:.3f} ± {error:.3f} | {count} |"
            for p, share, error, count in curve(said, true)
        ]
        lines.append("")
    return "\n".join(lines)


def written(text: str, part: str) -> str:
    """The page with the table in its place."""
    marks = re.compile(r"(<!-- reliability, by docs/reliability.py -->\n).*?(<!-- end -->)", re.S)
    return marks.sub(lambda found: found[1] + part + found[2], text)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
