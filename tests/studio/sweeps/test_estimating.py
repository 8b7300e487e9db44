"""From a form to an estimate, over the toy engine: a score takes 2 s there, composing 1 s."""

from __future__ import annotations

from engine.family.memory import Memory
from engine.recipe import Recipe, resolve
from studio.sweeps.estimating import Estimating, Form, Line, expected, form_of, memory
from studio.sweeps.sizes import Size
from studio.sweeps.words import estimate_words
from studio.workbench import Workbench
from tests.app_fixtures import until
from tests.pages import toy

NAMES = ("facts", "manners", "loss")


def plan(method: str, points: int = 4) -> dict[str, object]:
    return {"method": method, "points": points, "strategy": "grid", "seed": 0, "parameters": {}}


def estimate(bench: Workbench, *designs: dict[str, object]) -> Estimating:
    found = Estimating(Form(designs, NAMES), "here")
    found.start(bench)
    until(lambda: found.step(bench) or not found.busy(bench))
    return found


def test_one_point_of_each_method_is_measured(bench: Workbench, service: toy.Service) -> None:
    service.measured.clear()
    found = estimate(bench, plan("task_arithmetic"), plan("pcb", 9))
    assert found.finished
    first, second = found.lines(bench)
    assert (len(first.recipes), first.new) == (4, 3) and (len(second.recipes), second.new) == (9, 8)
    assert (first.seconds, first.prepare, first.total) == (7.0, 5.0, 21.0)
    assert second.total == 56.0
    assert expected([first, second]) == {"task_arithmetic": 7.0, "pcb": 7.0}
    points = [bench.point_id(each) for each in (first.recipes[0], second.recipes[0])]
    assert service.measured == [(point, name) for point in points for name in NAMES]


def test_a_cancel_between_its_jobs_holds(bench: Workbench, service: toy.Service) -> None:
    """The first had just ended when a user pressed Cancel: nothing is measured."""
    service.measured.clear()
    found = Estimating(Form([plan("task_arithmetic")], NAMES), "here")
    found.start(bench)
    task = found.task(bench)
    assert task is not None
    task.handle.result(20)
    assert found.busy(bench)
    found.cancel(bench)
    found.step(bench)
    assert not found.busy(bench) and not found.finished
    assert found.task(bench) is task and service.measured == []


def test_a_point_that_lacks_one_objective_takes_less(bench: Workbench) -> None:
    corners = [(0.0, 0.0), (0.0, 1.5), (1.5, 0.0)]
    for helpful, terse in corners[:2]:
        partly = Recipe("task_arithmetic", {"helpful": helpful, "terse": terse})
        rows = toy.score_rows(resolve(partly, bench.names), bench.study)
        bench.store.append(rows[:2])
    [line] = estimate(bench, plan("task_arithmetic")).lines(bench)
    # the third corner lacked all and was measured; two lack one score, the last lacks three
    assert line.new == 3
    assert line.total == 3 * 1.0 + (1 + 1 + 3) * 2.0


def test_a_design_that_is_all_there_is_not_measured(bench: Workbench, service: toy.Service) -> None:
    estimate(bench, plan("task_arithmetic", 1))
    service.measured.clear()
    again = estimate(bench, plan("task_arithmetic", 1))
    [line] = again.lines(bench)
    assert again.finished and line.new == 0 and service.measured == []
    assert estimate_words([line], None) == [
        "0 new points (1 already measured). All points of this sweep are already measured."
    ]


def test_points_that_came_since_are_no_longer_new(bench: Workbench) -> None:
    found = estimate(bench, plan("task_arithmetic"))
    [line] = found.lines(bench)
    bench.store.append(toy.score_rows(line.recipes[1], bench.study))
    [line] = found.lines(bench)
    assert line.new == 2 and line.total == 14.0


def test_a_design_that_cannot_be_ends_the_estimate(bench: Workbench) -> None:
    found = estimate(bench, plan("single"))
    task = found.task(bench)
    assert task is not None and "no coefficients" in (task.status.reason or "")
    assert not found.finished and not found.busy(bench)


def test_memory_is_that_of_the_hungriest_wing(bench: Workbench) -> None:
    assert memory(bench, ["pcb"]) == Memory(2 * 10**9, 4 * 10**9)
    assert memory(bench, ["pcb", "proxy_tuning"]) == Memory(3 * 10**9, 4 * 10**9)
    bench._tasks.pop("open")
    assert memory(bench, ["pcb"]) is None


def test_an_estimate_in_words() -> None:
    recipes = (Recipe("pcb"),) * 30
    lines = [
        Line(plan("pcb", 30), recipes, 29, 12.4, 40.0, 359.6),
        Line(plan("linear", 30), recipes, 30, 0.5, 0.0, 15.0),
    ]
    assert estimate_words(lines, Memory(10**9, 5 * 10**9)) == [
        "59 new points (1 already measured). About 7 min in all.",
        "pcb grid 30: 29 × 13 s per point, measured on one, 40 s once to prepare.",
        "linear grid 30: 30 × 0.5 s per point, measured on one.",
        "Memory: up to 1 GB needed, 5 GB free when the study was opened.",
    ]
    failed = [lines[0], Line(plan("linear", 30), recipes, 30, error="not finite")]
    assert "in all" not in estimate_words(failed, None)[0]


def test_a_grid_is_asked_for_as_large_as_it_will_be() -> None:
    """ "pcb grid 25" was the name of a sweep of 8 points."""
    filled = {
        "methods": ["pcb"],
        "objectives": ["facts"],
        "strategy": "grid",
        "seed": 5,
        "parameters": {"pcb": {"ratio": 0.2, "variant": "main"}},
    }
    sizes = {"pcb": Size("pcb", 25, 8, 3, 2, same=8)}
    found = form_of(filled, sizes)
    assert found is not None
    [design] = found.designs
    assert design == plan("pcb", 8) | {"parameters": {"ratio": 0.2}}
    assert form_of(filled | {"methods": []}, sizes) is None
