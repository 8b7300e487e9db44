"""What the chart component sends."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from ui import components


def two_charts() -> None:
    import streamlit as st

    from ui import components

    figure = {"data": [], "layout": {"height": st.session_state.get("height", 1)}}
    for key in ("one", "other"):
        components.chart(components.drawing(figure), key=key, on_click=lambda: None)


def sent(at: AppTest) -> list[tuple[list[str], str]]:
    """Of each chart: its key and revision, and the figure that came along."""
    found = [each.proto.bytes.partition(b"\n") for each in at.get("bidi_component")]
    return [(json.loads(head), figure.decode()) for head, _, figure in found]


def test_a_figure_is_sent_once_to_each_chart_and_then_only_named() -> None:
    at = AppTest.from_function(two_charts).run()
    first = sent(at)
    assert [head[0] for head, _ in first] == ["one", "other"]
    assert all(json.loads(figure)["layout"] == {"height": 1} for _, figure in first)
    assert sent(at.run()) == [(head, "") for head, _ in first]
    at.session_state["height"] = 2
    other = sent(at.run())
    assert other[0][0][1] != first[0][0][1]
    assert all(json.loads(figure)["layout"] == {"height": 2} for _, figure in other)
    assert not at.exception


def test_a_figure_that_did_not_arrive_is_sent_again() -> None:
    at = AppTest.from_function(two_charts).run()
    del at.session_state["sent"]["one"]  # as the browser's "missing" does
    assert [bool(figure) for _, figure in sent(at.run())] == [True, False]


def test_a_revision_says_which_figure_it_is() -> None:
    one = components.drawing({"data": [1]})
    assert one == components.drawing({"data": [1]})
    assert one.revision != components.drawing({"data": [2]}).revision
    with pytest.raises(ValueError, match="JSON"):
        components.drawing({"data": [float("nan")]})


def test_a_component_holds_what_it_imports_and_nothing_else_of_it_gets_out() -> None:
    text = components.script("front")
    assert "\nimport " not in text and "\nexport const" not in text
    assert text.count("const sum = ") == 1 and text.index("(() => {") < text.index("const sum = ")
    assert "return { chooser, equal, placed, rebalanced, unlocked };" in text


def lines() -> None:
    import streamlit as st

    from ui import components

    drawing = components.drawing({"axes": [], "ids": []})
    heard = {name: (lambda: None) for name in ("on_click", "on_order", "on_bound")}
    components.parallel(drawing, st.session_state.get("order", ["a", "b"]), key="lines", **heard)


def test_another_order_of_axes_is_told_without_sending_the_lines_again() -> None:
    at = AppTest.from_function(lines).run()
    [(head, figure)] = sent(at)
    assert head[2] == ["a", "b"] and json.loads(figure)["ids"] == []
    at.session_state["order"] = ["b", "a"]
    assert sent(at.run()) == [([*head[:2], ["b", "a"]], "")]
    assert not at.exception
