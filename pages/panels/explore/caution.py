"""How a preference judges scores: by their means, or worse by some of their standard errors; and
the pick under it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.front.bounds import Bounds
from engine.front.criteria import Criteria
from studio.decide.cautious import CHOICES, cautious, ranges_of_means
from studio.decide.front import frozen
from studio.decide.noise import noise
from studio.decide.picking import Pick, pick
from studio.decide.preference import Preference
from studio.points.view import Axis, Measured, axes_of
from studio.workbench import Workbench
from ui import news
from ui.choices import kept, remember, view_key
from ui.recipe import anchored


def listen(bench: Workbench, panel: str) -> None:
    """Have a panel drawn again once it is known how sure the points are."""
    news.listen(f"noise:{panel}", lambda: noise(bench).version)


def caution() -> float:
    """Standard errors by which scores are taken to be worse for the pick."""
    if "cautious" not in kept():
        asked = st.session_state.get("addressed", {}).get("cautious", "")
        kept()["cautious"] = next((z for z in CHOICES if f"{z:g}" == asked), 0.0)
    return float(kept()["cautious"])


def control() -> None:
    """The choice, which is kept and said in the address."""
    key = view_key("cautious")
    chosen = st.segmented_control(
        "Judge scores by", list(CHOICES), key=key, required=True,
        default=anchored(key, caution()), format_func=CHOICES.__getitem__,
        help="A cautious pick avoids scores that are good by luck: each is taken to be worse by "
        "one or two of its standard errors (±), for weights and bounds.",
    )  # fmt: skip
    kept()["cautious"] = chosen
    remember(cautious=f"{chosen:g}" if chosen else None)


def picked(
    bench: Workbench, measured: Measured, axes: Sequence[Axis], bounds: Bounds, now: Preference,
    asked: Criteria,
) -> Pick | None:  # fmt: skip
    """The pick of a preference; arguments as for `studio.decide.picking.pick`."""
    z, ranges = caution(), frozen(measured, axes, len(bench.names.models))
    if z:
        ranges = ranges_of_means(measured, axes, ranges) or None
        measured = cautious(measured, bench.objectives, z)
    return pick(measured, axes, now, bounds, ranges, axes_of(bench.objectives), asked)


def worse() -> str:
    """After a value that is taken to be worse: by how much; nothing else."""
    return f" ({CHOICES[caution()]})" if caution() else ""
