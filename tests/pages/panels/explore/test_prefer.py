"""The panel of a preference, driven without a browser; the pad itself is drawn in JavaScript."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from pages.panels.explore.prefer import Told, heard, tell
from studio.decide.preference import Preference, equal
from studio.workbench import Workbench
from tests.app_fixtures import texts, widget

NAMES = ("facts", "manners", "loss")


def app() -> None:
    import streamlit as st

    from pages.panels.explore import prefer
    from pages.panels.explore.bounding import bounds, bounds_panel
    from studio.points.view import axes_of
    from ui import opened

    bench = opened.connect()
    every = axes_of(bench.objectives)
    axes = every[: st.session_state.get("count", 3)]

    def take(point: str) -> None:
        st.session_state["taken"] = point

    if "let_go" in st.session_state:
        prefer._moved(axes, "let_go")
    found = prefer.panel(bench, bench.measured(), axes, on_take=take, bounds=bounds())
    st.session_state["found"] = None if found is None else found.row
    if st.session_state.get("bounding"):
        bounds_panel(bench.measured(), every)


def weights(at: AppTest) -> list[int]:
    shown = [each for each in at.slider if each.key.startswith("weight:")]
    found = [round(each.value * 100) for each in shown]
    kept = at.session_state["preference"]
    names = frozenset(each.label.split()[0] for each in shown)
    assert list(kept[names].hundredths.values()) == found
    return found


def test_moving_one_weight_moves_the_others_and_the_pick(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    assert not at.exception
    assert weights(at) == [34, 33, 33]
    widget(at.slider, "facts ↑").set_value(1.0).run()
    assert weights(at) == [100, 0, 0]
    measured = bench.measured()
    assert at.session_state["found"] == measured.mean[:, 0].argmax()
    widget(at.slider, "facts ↑").set_value(0.5).run()
    assert weights(at) == [50, 25, 25]
    widget(at.slider, "loss ↓").set_value(1.0).run()
    assert weights(at) == [0, 0, 100]
    assert at.session_state["found"] == measured.mean[:, 2].argmin()
    assert not at.exception


def test_a_locked_weight_stays_and_its_slider_rests(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    widget(at.button, "Lock loss").click().run()
    assert widget(at.slider, "loss ↓").disabled
    widget(at.slider, "facts ↑").set_value(0.9).run()
    assert weights(at) == [67, 0, 33]
    widget(at.button, "Unlock loss").click().run()
    assert not widget(at.slider, "loss ↓").disabled
    widget(at.slider, "facts ↑").set_value(0.9).run()
    assert weights(at) == [90, 0, 10]


def test_a_weight_locked_in_the_moment_it_moved_keeps_the_move(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    widget(at.slider, "loss ↓").set_value(0.6)
    widget(at.button, "Lock loss").click().run()
    assert weights(at) == [20, 20, 60]
    assert widget(at.slider, "loss ↓").disabled


def test_of_two_weights_none_can_be_locked(bench: Workbench) -> None:
    at = AppTest.from_function(app)
    at.session_state["count"] = 2
    at.run()
    assert not [each.label for each in at.button if "ock" in each.label]


def test_the_pad_let_go_moves_sliders_but_not_a_locked_one(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    widget(at.button, "Lock loss").click().run()
    weighed = {"facts": 10, "manners": 30, "loss": 60}
    at.session_state["let_go"] = {"moved": {"weights": weighed, "turn": 1}}
    at.run()
    assert weights(at) == [17, 50, 33]
    at.session_state["let_go"] = {"moved": {"weights": {"facts": 100}, "turn": 2}}  # another pad's
    at.run()
    assert weights(at) == [17, 50, 33]


def test_each_set_of_objectives_keeps_its_own_preference(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    widget(at.slider, "facts ↑").set_value(0.6).run()
    at.session_state["count"] = 2
    at.run()
    assert weights(at) == [50, 50]
    widget(at.slider, "manners ↑").set_value(0.9).run()
    assert weights(at) == [10, 90]
    at.session_state["count"] = 3
    at.run()
    assert weights(at) == [60, 20, 20]


def test_the_pick_can_be_taken_and_compared_and_says_why(bench: Workbench) -> None:
    at = AppTest.from_function(app).run()
    at.button(key="take").click().run()
    assert at.session_state["taken"] == bench.measured().ids[at.session_state["found"]]
    at.button(key="compare_pick").click().run()
    assert at.session_state["tray"] == [bench.measured().recipes[at.session_state["found"]]]
    assert "points on the front falls short" in texts(at)
    assert "worst to the best score of the unmerged models: facts 0.400 to 0.800" in texts(at)
    assert not at.exception


def test_a_bound_is_heeded_and_one_that_nothing_meets_is_said(bench: Workbench) -> None:
    at = AppTest.from_function(app)
    at.session_state["bounding"] = True
    at.run()
    assert "No bounds. A slider at its end sets none." in texts(at)
    [slider] = [each for each in at.slider if each.key.startswith("bound:facts")]
    slider.set_value((0.9, 1.0)).run()
    assert at.session_state["bounds"] == {"facts": (0.9, None)}
    assert "facts at least 0.9: 0 of 4 points." in texts(at)
    assert "No point meets every bound; the pick comes closest." in texts(at)
    assert "facts at least 0.900: the pick has 0.800." in texts(at)
    at.button(key="no_bounds").click().run()
    assert at.session_state["bounds"] == {}
    assert "comes closest" not in texts(at)
    assert not at.exception


def test_nothing_to_pick_from_before_there_are_points(home: object) -> None:
    at = AppTest.from_function(app).run()
    assert "Nothing to pick from yet: no point has a score for all of facts ↑" in texts(at)


def said(told: Told, now: Preference, **shown: int) -> Preference:
    """What follows when the browser shows these; the sliders are told their values."""
    now = heard(told, now, shown)
    tell(told, now)
    return now


def test_a_late_value_beside_a_move_is_no_move() -> None:
    told = Told()
    now = said(told, equal(NAMES))
    now = said(told, now, facts=36, manners=33, loss=33)
    assert now.hundredths == {"facts": 36, "manners": 32, "loss": 32}
    now = said(told, now, facts=40, manners=33, loss=33)  # it has not heard of the 32 yet
    assert now.hundredths == {"facts": 40, "manners": 30, "loss": 30}
    now = said(told, now, facts=41, manners=32, loss=30)  # of some of it
    assert now.hundredths["facts"] == 41
    assert said(told, now, facts=41, manners=30, loss=29).hundredths == now.hundredths


def test_a_value_put_back_by_hand_is_a_move() -> None:
    told = Told()
    now = said(told, equal(NAMES))
    now = said(told, now, facts=36, manners=33, loss=33)
    now = said(told, now, facts=36, manners=33, loss=32)  # back to what it was before
    assert now.hundredths["manners"] == 33
    assert now.hundredths["facts"] < 36


def test_a_run_that_no_browser_asked_for_confirms_nothing() -> None:
    told = Told()
    now = said(told, equal(NAMES))
    now = said(told, now, facts=36, manners=33, loss=33)
    assert said(told, now, **now.hundredths) is now
    assert set(tell(told, now)) == {"manners", "loss"}  # told again
    after = said(told, now, facts=37, manners=33, loss=33)
    assert after.hundredths["facts"] == 37


def test_a_move_made_while_something_else_was_on_its_way_is_told_too() -> None:
    told = Told()
    now = said(told, equal(NAMES))
    now = said(told, now, facts=36, manners=33, loss=33)
    now = heard(told, now, {"facts": 36, "manners": 50, "loss": 33})
    assert "manners" in tell(told, now)
    assert "facts" in tell(told, now)


def test_a_value_without_room_is_brought_back() -> None:
    told = Told()
    now = said(told, equal(NAMES).lock("loss", True))
    now = heard(told, now, {"facts": 90, "manners": 33, "loss": 33})
    assert now.hundredths == {"facts": 67, "manners": 0, "loss": 33}
    assert tell(told, now) == {"facts": 67, "manners": 0}
