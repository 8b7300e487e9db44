"""The inline components: plotly.js, the charts, the lines beside the sliders.

library   says where plotly.js is (ui/library.py); the browser fetches it once and keeps it
chart     the figure as bytes, sent once a revision; the browser keeps what it has drawn
parallel  parallel axes, sent as the chart is; ranges and the order of axes are the hand's
surfaces  what the browser predicts from while a slider moves: some kilobytes, for a method's points
          (predicting.js: without a page; picking.js likewise, for what the preference panel has)
readout   a few hundred bytes at each move of a slider: text, and where the chart's mark stands
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from engine.bands import plain, value_of
from studio.charts.toolbar import CONFIG
from ui import library as plotly_js

HERE = Path(__file__).parent

IMPORT = re.compile(r'^import \{(?P<names>[ \w,]+)\} from "\./(?P<file>\w+)\.js";$', re.MULTILINE)


def declare(name: str, html: str | None = None) -> Callable[..., Any]:
    """The component of `name`.js; what has an element of its own has `name`.css too."""
    css = (HERE / f"{name}.css").read_text(encoding="utf-8") if html else None
    return st.components.v2.component(
        f"paretoscope.{name}", html=html, css=css, js=script(name), isolate_styles=not html
    )


def script(name: str) -> str:
    """A component's module, within what shows its failure in our words (unforeseen.js). What it
    imports stands in it: Streamlit serves a component as one text."""
    own, around = (_read(each) for each in (name, "unforeseen"))
    before, mark, after = own.partition("export default function ")
    assert mark, f"{name}.js exports no function"
    before = IMPORT.sub(lambda found: _within(found["names"], found["file"]), before)
    return f"{before}const paint = function {after.rstrip()};\n{around}"


def _read(name: str) -> str:
    return (HERE / f"{name}.js").read_text(encoding="utf-8")


def _within(names: str, file: str) -> str:
    """A module without a page of its own, as a constant that only its exports leave."""
    inner = IMPORT.sub(lambda found: _within(found["names"], found["file"]), _read(file))
    inner = inner.replace("\nexport const ", "\nconst ").rstrip()
    return f"const {{{names}}} = (() => {{\n{inner}\nreturn {{{names}}};\n}})();"


_library = declare("library")
_chart = declare(
    "chart",
    '<div class="frame"><div class="tradeoff"></div>'
    '<div class="mark here" hidden>'
    "<i></i><i></i><i></i><b></b><span></span></div>"
    '<div class="mark pick" hidden><b></b><span></span></div></div>',
)
_parallel = declare(
    "parallel",
    '<div class="parallel"><div class="pictures"></div>'
    '<div class="line"><span class="words" aria-live="polite"></span>'
    '<button class="bind" type="button" hidden>Make bounds of these ranges</button>'
    '<button class="clear" type="button" hidden>Clear ranges</button></div>'
    '<div class="legend"></div>'
    '<div class="plane"><canvas class="lines" role="img"></canvas>'
    '<canvas class="over" aria-hidden="true"></canvas><div class="tip" hidden></div></div></div>',
)
_readout = declare("readout", '<div class="readout" aria-live="polite"></div>')
_surfaces = declare("surfaces")


def library() -> None:
    """Have the browser fetch plotly.js from this server: no CDN, works offline."""
    _library(key="library", data=plotly_js.path())


@dataclass(frozen=True)
class Drawing:
    """A figure as the chart component takes it.

    Attributes:
        revision: another one for every other figure.
        text: the figure as JSON.
    """

    revision: str
    text: bytes


def drawing(figure: Mapping[str, Any]) -> Drawing:
    """A figure of plotly, for the chart."""
    text = json.dumps({**figure, "config": CONFIG}, allow_nan=False).encode()
    return Drawing(hashlib.blake2b(text, digest_size=8).hexdigest(), text)


def chart(drawing: Drawing, *, key: str, on_click: Callable[[], None]) -> None:
    """Mount the chart; in the callback `st.session_state[key]["clicked"]` is the point clicked.

    A figure is sent once, then only named: the browser keeps its charts while pages come and go. It
    asks for a figure that did not arrive.
    """
    data, send_again = _packed(drawing, key)
    _chart(key=key, data=data, on_clicked_change=on_click, on_missing_change=send_again)


def parallel(
    drawing: Drawing,
    order: Sequence[str],
    *,
    key: str,
    on_click: Callable[[], None],
    on_order: Callable[[], None],
    on_bound: Callable[[], None],
) -> None:
    """Mount parallel axes, as `studio.charts.parallel` makes them; sent as a chart's figure is.

    In the callbacks `st.session_state[key]` has "clicked", the id of a point; "ordered", the names
    of the axes from left to right; "bound", {objective: [lowest, highest]}, null for no bound.

    Args:
        order: names of the axes from left to right.
    """
    data, send_again = _packed(drawing, key, list(order))
    _parallel(
        key=key, data=data, on_clicked_change=on_click, on_ordered_change=on_order,
        on_bound_change=on_bound, on_missing_change=send_again,
    )  # fmt: skip


def _packed(drawing: Drawing, key: str, *more: Any) -> tuple[bytes, Callable[[], None]]:
    """A line of JSON that names a figure, and the figure where this browser does not have it; what
    is to be called once it says that it has not."""
    sent: dict[str, str] = st.session_state.setdefault("sent", {})
    text = drawing.text if sent.get(key) != drawing.revision else b""
    sent[key] = drawing.revision

    def send_again() -> None:
        sent.pop(key, None)

    return json.dumps([key, drawing.revision, *more]).encode() + b"\n" + text, send_again


def readout(data: Mapping[str, Any], surfaces: bytes, step: float) -> None:
    """Show what is known of the current recipe, and move its mark on the chart.

    Args:
        surfaces: what the browser predicts from while a slider moves.
        step: of the sliders; a coefficient between two steps is shown as the nearer one.
    """
    _surfaces(key="surfaces", data=surfaces)
    own = data["coefficients"]
    mains = {plain(name): value_of(own, plain(name)) for name in own if plain(name) != name}
    _readout(key="readout", data={**data, "step": step, "mains": mains})
