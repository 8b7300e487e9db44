"""The panel of a preference: a slider and a lock for each objective, the pad, and the pick.

    sliders, pad ──► Preference of these objectives ──► pick ──► words, the chart's mark

One preference is kept for each set of objectives, in `st.session_state["preference"]`. Moving one
weight moves other sliders, which already exist. Streamlit's browser follows a value that code puts
in, but until it has received it, it sends the old one along with the next key press, which would
undo the last move if taken for one. So the value sent to each slider is remembered until the
browser echoes it (`Told`), and only a different value is a move. No key press is lost, and the
focus stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from engine.errors import BadInput
from engine.front.bounds import Bounds
from engine.front.criteria import NONE, Criteria
from pages.panels.explore import caution, explaining, pad
from studio.decide.front import Front
from studio.decide.picking import Pick
from studio.decide.preference import STEPS, Preference, equal, from_text, placed, rebalanced
from studio.decide.why import unmet_words, utility_text
from studio.glossary import WORDS
from studio.points.view import Axis, Measured
from studio.workbench import Workbench
from ui import tray
from ui.frame import export_link


@dataclass
class Told:
    """What the sliders of one set of objectives may show now.

    Attributes:
        values: objective -> hundredths that the browser may show, oldest first; the last is true.
        turn: the pad's last move that was heard.
        shown: objective -> hundredths that the browser's slider said last.
    """

    values: dict[str, list[int]] = field(default_factory=dict)
    turn: int = 0
    shown: dict[str, int] = field(default_factory=dict)


def _names(axes: Sequence[Axis]) -> frozenset[str]:
    return frozenset(axis.name for axis in axes)


def preference(axes: Sequence[Axis]) -> Preference:
    """The preference over these objectives; equal weights at first."""
    kept = st.session_state.setdefault("preference", {})
    return kept.setdefault(_names(axes), equal([axis.name for axis in axes]))


def prefer(axes: Sequence[Axis], asked: Preference) -> None:
    """Set a preference over these objectives; sliders and pad follow."""
    st.session_state.setdefault("preference", {})[_names(axes)] = asked


def restore(axes: Sequence[Axis]) -> None:
    """Once a session: the preference that the address names."""
    if "preferred" not in st.session_state:
        st.session_state["preferred"] = True
        asked = st.session_state["addressed"].get("prefer", "")
        found = from_text(asked, [axis.name for axis in axes])
        if found is not None:
            prefer(axes, found)


def _told(axes: Sequence[Axis]) -> Told:
    return st.session_state.setdefault("told", {}).setdefault(_names(axes), Told())


def _key(kind: str, axes: Sequence[Axis], name: str) -> str:
    return f"{kind}:{'/'.join(sorted(_names(axes)))}:{name}"


def heard(told: Told, now: Preference, shown: Mapping[str, int]) -> Preference:
    """The preference after what the browser says its sliders show, in hundredths.

    A value that a slider was never told is a move. One that it showed before it was told another is
    a move if it is the only sign of one: a user put it back; beside another move it is merely
    late. A move proves that the browser spoke, so what it says of the others is what they show.

    Args:
        shown: without the sliders that are not yet on the page.
    """
    for name in now.names:
        if name not in shown:
            told.values.pop(name, None)
        else:
            told.values.setdefault(name, [now.hundredths[name]])
    known = told.values
    moved = [name for name in known if shown[name] not in known[name]]
    late = [name for name in known if name not in moved and shown[name] != known[name][-1]]
    moved = moved or (late if len(late) == 1 else [])
    for name in known if moved else ():
        if name not in moved:
            del known[name][: known[name].index(shown[name])]
            continue
        # what is still on its way to it would be shown in place of the move: tell the move, too
        known[name] = [*known[name][1:], shown[name]]
        now = rebalanced(now, name, shown[name] / STEPS)
    return now


def tell(told: Told, now: Preference) -> dict[str, int]:
    """The hundredths to send to the sliders; they count as sent."""
    found = {}
    for name, value in now.hundredths.items():
        known = told.values.setdefault(name, [])
        if not known or known[-1] != value:
            known.append(value)
        if len(known) > 1:
            found[name] = value
    return found


def _hear(axes: Sequence[Axis]) -> Preference:
    """The preference over these objectives, after what the browser's sliders say."""
    keys = {axis.name: _key("weight", axes, axis.name) for axis in axes}
    shown = {
        name: round(st.session_state[key] * STEPS)
        for name, key in keys.items()
        if key in st.session_state
    }
    told = _told(axes)
    told.shown = shown
    now = heard(told, preference(axes), shown)
    prefer(axes, now)
    return now


def _lock(axes: Sequence[Axis], name: str) -> None:
    now = _hear(axes)  # a move that came along with the press is older than it
    prefer(axes, now.lock(name, name not in now.locked))


def _lock_button(axes: Sequence[Axis], name: str, locked: bool) -> None:
    st.button(
        f"Unlock {name}" if locked else f"Lock {name}",
        key=_key("lock", axes, name),
        icon=":material/lock:" if locked else ":material/lock_open:",
        type="tertiary",
        help="Let this weight change again when others move"
        if locked
        else "Keep this weight fixed when others move",
        on_click=_lock,
        args=(axes, name),
    )


def sliders(axes: Sequence[Axis]) -> Preference:
    """One slider for each objective, a lock beside it; the preference they say."""
    now = _hear(axes)
    if len(axes) == 1:
        st.text(f"With {axes[0].name} as the only objective there is nothing to weigh.")
        return now
    # Streamlit drops what a slider says in the run that disables it: a locked one is always told
    telling = {**tell(_told(axes), now), **{name: now.hundredths[name] for name in now.locked}}
    with st.container(key="weights", gap=None):
        for axis in axes:
            key, weight = _key("weight", axes, axis.name), now.weights[axis.name]
            if axis.name in telling:
                st.session_state[key] = weight
            locked = axis.name in now.locked
            with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
                st.slider(
                    axis.label, 0.0, 1.0, None if axis.name in telling else weight,
                    step=1 / STEPS, key=key, format="%.2f", disabled=locked,
                    help=WORDS["preference"],
                )  # fmt: skip
                if len(axes) > 2:  # of two a locked one would hold both
                    _lock_button(axes, axis.name, locked)
    return now


def _moved(axes: Sequence[Axis], key: str) -> None:
    """The pad was let go: its weights, with locks as they are here."""
    said = st.session_state[key].get("moved") or {}
    weights = {name: float(value) for name, value in (said.get("weights") or {}).items()}
    if set(weights) == _names(axes):
        prefer(axes, placed(preference(axes), weights))
        _told(axes).turn = int(said["turn"])


def _front(measured: Measured, found: Front, axes: Sequence[Axis]) -> None:
    """The front in the browser, and over three objectives the pad."""
    kept = st.session_state.get("packed")
    if kept is None or kept[0] is not found:
        kept = found, pad.packed(measured, found)
        st.session_state["packed"] = kept
    pad.front(kept[1], key=_key("front", axes, ""))
    if len(axes) == pad.OBJECTIVES:
        key = _key("pad", axes, "")
        pad.pad([axis.name for axis in axes], key=key, on_move=lambda: _moved(axes, key))


def _show(measured: Measured, axes: Sequence[Axis], found: Pick, now: Preference) -> None:
    """The pick in words and its mark on the chart."""
    told = _told(axes)
    pad.picked(pad.picked_data(measured, found, now, told.turn, told.shown))


def mark(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    bounds: Bounds,
    asked: Criteria = NONE,
) -> None:
    """Mark the pick on the chart while the panel itself is out of sight."""
    now = preference(axes)
    try:
        found = caution.picked(bench, measured, axes, bounds, now, asked)
    except BadInput:  # a utility without a value: the panel says so once it is open
        return
    if found is not None:
        with pad.parts()[1]:
            _show(measured, axes, found, now)


def panel(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    bounds: Bounds,
    *,
    on_take: Callable[[str], Any],
    asked: Criteria = NONE,
    wish: Callable[[], Any] = lambda: None,
) -> Pick | None:
    """Draw the panel, for a fragment; the pick.

    Args:
        axes: the objectives of the front; with three there is the pad.
        bounds: on any of the study's objectives.
        on_take: called with the id of the point whose recipe is to go into the sliders.
        asked: constraints, trades and utility; with a utility there are no weights.
        wish: draws where these are asked for.
    """
    above, place, below = pad.parts()
    with above:
        if asked.utility is not None:
            now = preference(axes)
            st.text("Weights do not count: the pick has the largest utility.")
        else:
            now = sliders(axes)
        wish()
        caution.control()
        try:
            found = caution.picked(bench, measured, axes, bounds, now, asked)
        except BadInput as error:
            st.text(str(error))
            return None
        if found is None:
            missing = ", ".join(axis.label for axis in axes)
            st.text(f"Nothing to pick from yet: no point has a score for all of {missing}.")
            return None
        if asked.utility is not None:
            pad.front(pad.packed(measured, pad.alone(found)), key=_key("front", axes, ""))
            value = utility_text(measured, asked.utility, found.row)
            st.text(f"Utility {value}: the largest on the front.")
        else:
            _front(measured, found.front, axes)
    with place:
        _show(measured, axes, found, now)
    with below:
        with st.container(key="unmet", gap=None):
            for sentence in unmet_words(found, caution.worse()):
                st.text(sentence)
        recipe, point = measured.recipes[found.row], measured.ids[found.row]

        def row_now() -> int:  # a move that came along with the press is newer than the pick
            if asked.utility is not None:
                return found.row
            again = caution.picked(bench, measured, axes, bounds, _hear(axes), asked)
            return found.row if again is None else again.row

        st.button(
            "Use this recipe", key="take", width="stretch",
            on_click=lambda: on_take(measured.ids[row_now()]),
            help="Load the pick's recipe into the sliders",
        )  # fmt: skip
        left, right = st.columns(2, gap="xsmall")
        with left:
            tray.toggle_button(recipe, "compare_pick", lambda: measured.recipes[row_now()])
        with right.container(key="export_pick"):
            export_link({"point": point})
        explaining.explain(bench, measured, axes, found, now, bounds, asked)
    return found
