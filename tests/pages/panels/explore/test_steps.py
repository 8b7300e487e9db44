"""The checklist of first steps ticks what was done, in this workspace, and nothing else."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, until, whole, widget
from ui import steps

ALL = set(steps.WORDS.values())


def ticked(at: AppTest) -> set[str] | None:
    """The words of the steps that are ticked; None where there is no list."""
    found = [each.proto.body for each in at.get("html") if 'class="first-steps"' in each.proto.body]
    if not found:
        return None
    items = re.findall(r'data-taken="(\w+)">([^<]*)<', found[0])
    assert {words for _, words in items} == ALL
    assert found[0].count(", done<") == [taken for taken, _ in items].count("true")
    return {words for taken, words in items if taken == "true"}


def test_a_step_is_ticked_once_it_was_done(bench: Workbench) -> None:
    at = page("explore").run()
    assert ticked(at) == set()
    widget(at.slider, "helpful").set_value(0.75).run()
    assert ticked(at) == {"Move a slider"}
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or whole(bench, 5))
    at.run()
    assert ticked(at) == {"Move a slider", "Evaluate the mixture"}
    at.session_state["side"] = "Preference"
    at.run()
    [weight] = [each for each in at.slider if re.match("weight:.*:facts$", each.key or "")]
    weight.set_value(0.8).run()
    assert ticked(at) == ALL - {"Compare two", "Export one"}
    bench.store.append([{"kind": "export", "id": "e", "point": "p", "out": "/nowhere", "at": 1.0}])
    assert ticked(at.run()) == ALL - {"Compare two"}
    again = page("explore").run()  # another session: a reload, a restart
    assert ticked(again) == ALL - {"Compare two"}


def test_comparing_two_is_ticked_when_they_have_answered(bench: Workbench) -> None:
    one, two = (resolve(Recipe("single", {}, {"model": name}), bench.names)
                for name in ("base", "helpful"))  # fmt: skip
    for recipes, wanted in (([one], set()), ([one, two], {"Compare two"})):
        at = page("compare")
        at.session_state["tray"] = recipes
        at.run()
        widget(at.button, "Answer").click().run()
        until(lambda at=at: bench.advance() or all(
            task.status.over for task in bench._tasks.values()
        ))  # fmt: skip
        at.run()
        assert not at.exception
        assert ticked(page("explore").run()) == wanted


def test_the_list_is_dismissed_for_good_and_brought_back(bench: Workbench) -> None:
    at = page("explore").run()
    assert not [each for each in at.button if each.key == "show_steps"]
    at.button(key="dismiss").click().run()
    assert ticked(at) is None
    other = page("explore").run()
    assert ticked(other) is None
    other.button(key="show_steps").click().run()
    assert ticked(page("explore").run()) == set()


def test_a_list_dismissed_in_an_earlier_version_stays_so(bench: Workbench) -> None:
    bench.store.append([{"kind": "setting", "id": "one-minute", "at": 1.0}])
    assert ticked(page("explore").run()) is None
