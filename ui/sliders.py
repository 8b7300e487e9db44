"""Sliders of coefficients: one a model, under which those of its bands of layers are folded.

    main slider   moves all bands of a model to where it stands
    its bands     one slider each; the main one is then made again at their mean

A slider that stands elsewhere than it was made or last heard was moved by a user. The others of its
model are made again, since Streamlit's browser side does not always follow a value that is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from engine.bands import band_at, banded, bands_of, plain, value_of
from engine.method import Method, Names
from engine.study import Study

STEP = 0.01
START = 0.5


def anchored(key: str, current: Any) -> Any:
    """The value to make a widget with: fixed while the widget lives, since another would make it
    again; the current one where it was not on the page before."""
    anchors = st.session_state.setdefault("anchors", {})
    if key not in st.session_state or key not in anchors:
        anchors[key] = current
    return anchors[key]


def start_value(low: float, high: float) -> float:
    """Where a slider stands at first: 0.5, or as near as its range allows."""
    return min(max(START, low), high)


def span(low: float, high: float, value: float) -> tuple[float, float]:
    """The slider's range, widened for a recipe that came from elsewhere with a value beyond it."""
    return min(low, value), max(high, value)


def regroup(kept: dict[str, float], groups: int) -> None:
    """Cut the coefficients in hand into this many bands: each has what the model had, or the mean
    of the bands that it had."""
    if bands_of(kept) == groups:
        return
    wholes = {plain(name): value_of(kept, plain(name)) for name in kept}
    kept.clear()
    kept.update({band: at for name, at in wholes.items() for band in banded(name, groups)})


class Folded:
    """The sliders of one model with several bands of layers.

    Args:
        kept: the coefficients in hand, of this many bands.
        generation: of the hand.
    """

    def __init__(
        self, study: Study, method: Method, model: str, groups: int, kept: dict[str, float],
        generation: int,
    ) -> None:  # fmt: skip
        self.method = method
        self.model = model
        self.kept = kept
        self.bands = banded(model, groups)
        self.range = study.slider_range(method, model)
        self._stem = f"{method.name}.{model}:{generation}:{groups}"
        self._turns = st.session_state.setdefault("slider_turns", {})
        self._shown = st.session_state.setdefault("slider_shown", {})
        for band in self.bands:
            kept.setdefault(band, start_value(*self.range))

    def _key(self, which: str) -> str:
        kind = "main" if which == self.model else "bands"
        return f"{self._stem}.{which}.{self._turns.get((self._stem, kind), 0)}"

    def _turn(self, kind: str) -> None:
        """Have these sliders made again."""
        at = (self._stem, kind)
        self._turns[at] = self._turns.get(at, 0) + 1

    def _moved(self, which: str) -> float | None:
        """Where a user has moved a slider to; None where it stands as it stood."""
        key = self._key(which)
        value = st.session_state.get(key)
        if value is None or value == self._shown.get(key):
            return None
        self._shown[key] = value
        return float(value)

    def hear(self) -> None:
        """Take what was moved into the hand."""
        if (whole := self._moved(self.model)) is not None:
            self.kept.update(dict.fromkeys(self.bands, whole))
            self._turn("bands")
            return
        moved = {band: at for band in self.bands if (at := self._moved(band)) is not None}
        if moved:
            self.kept.update(moved)
            self._turn("main")

    def draw(self, names: Names, on_change: Callable[[], Any] | None) -> None:
        """The main slider, and the others folded under it."""
        self.hear()
        values = [self.kept[band] for band in self.bands]
        self._slider(self.model, sum(values) / len(values), self.method.slider, on_change)
        shown = " · ".join(f"{value:.2f}" for value in values[:4]) + " …" * (len(values) > 4)
        with st.expander(f"by depth: {shown}", key=f"depth:{self._stem}"):
            for number, band in enumerate(self.bands, 1):
                words = layers_words(number, len(self.bands), names.layers)
                self._slider(band, self.kept[band], words, on_change)

    def _slider(
        self, which: str, value: float, help: str, on_change: Callable[[], Any] | None
    ) -> None:
        key = self._key(which)
        at = anchored(key, value)
        if key not in st.session_state:
            self._shown[key] = at
        low, high = span(*self.range, at)
        st.slider(
            which, low, high, at, step=STEP, key=key, format="%.2f", on_change=on_change, help=help
        )


def layers_words(band: int, groups: int, layers: int) -> str:
    """Which layers a band has, counted from 1 as people do; none where their number is unknown."""
    own = [each + 1 for each in range(layers) if band_at(each, layers, groups) == band]
    if not own:
        return f"Band {band} of {groups}, counted from the inputs."
    text = f"layer {own[0]}" if len(own) == 1 else f"layers {own[0]} to {own[-1]}"
    beside = {1: ", with the embeddings", groups: ", with the final norm and the head"}
    return f"Band {band} of {groups}: {text} of {layers}{beside.get(band, '')}."
