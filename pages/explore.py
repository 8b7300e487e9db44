"""Explore: sliders on the right; on the left, what each mixture gains and gives up."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from engine.counted import counted
from engine.errors import BadInput
from engine.recipe import METHODS, Recipe
from pages.panels.explore import (
    bounding,
    caution,
    charting,
    earlier,
    improving,
    prefer,
    showing,
    steps,
    table,
    wishes,
)
from studio import fitting
from studio.at_work import is_measured_now
from studio.charts import live
from studio.decide.bounds import within
from studio.decide.preference import to_text
from studio.points import filling, predicting
from studio.points.view import Measured, axes_of
from studio.points.words import readout
from ui import address, components, jobs, opened, pruning, tray, undo
from ui import frame as state
from ui import recipe as controls
from ui import steps as first_steps
from ui.choices import visible
from ui.front import choose_front, front_axes

bench = state.enter("Explore")
axes = axes_of(bench.objectives)
evaluation = f"{opened.session()}:evaluate"
filled = f"{opened.session()}:fill"


def restore() -> None:
    """Once a session: what the address names. A point waits until points can be known."""
    if "addressed" not in st.session_state:
        asked = st.query_params.to_dict()
        st.session_state["addressed"] = asked
        try:
            recipe = address.to_recipe(asked, bench.names)
            if recipe is not None:
                controls.hand().load(recipe)
            elif asked.get("method") in METHODS:
                controls.hand().method = asked["method"]
        except BadInput as error:
            st.session_state["address_refused"] = str(error)
    if "restored" not in st.session_state and bench.known is not None:
        st.session_state["restored"] = True
        load_point(st.session_state["addressed"].get("point"))


def load_point(point: str | None) -> None:
    """A point was selected: load its recipe into the sliders."""
    measured = bench.measured()
    if (row := measured.row_of.get(point or "")) is not None:
        controls.hand().load(measured.recipes[row])


def taken(point: str) -> None:
    load_point(point)
    charting.show_recipe()


@st.fragment(key="chart_panel")
def chart_panel() -> None:
    caution.listen(bench, "chart")
    measured = bench.measured()
    choices = st.container(
        horizontal=True, vertical_alignment="center", key="chart_choices", gap="small"
    )
    with choices:
        kind = charting.choose_view(axes)
        bounds = charting.filters(kind, bench, axes)
        over = choose_front(bench)
    shown = within(visible(bench), axes, bounds)
    asked = wishes.wishes(bench).criteria
    data = charting.draw(kind, bench, shown, axes, over, bounds, asked)
    if data is not None:
        charting.mount(kind, data, taken)
        with choices:
            showing.download(bench, shown, axes, shown.front_of(over), data)
    earlier.show(bench, start)
    if not len(measured):
        jobs.first_steps(bench)


@st.fragment(key="table_panel")
def table_panel() -> None:
    caution.listen(bench, "table")
    if len(bench.measured()):
        table.panel(bench, axes, taken)


def start(recipes: list[Recipe], what: str) -> None:
    bench.evaluate(recipes, what, evaluation)
    st.rerun()


def at_the_press() -> Recipe | None:
    """The current recipe in a callback, with what was moved since it was drawn."""
    controls.hear(bench.study, bench.names)
    pruning.hear(bench.names)
    return controls.in_hand(bench.names)


def evaluate() -> None:
    """Measure the current recipe: its point is one that a user asked for."""
    recipe = at_the_press()
    if recipe is None:  # the sliders say why, once they are drawn
        return
    point = bench.point_id(recipe)
    bench.remarks.say({point: replace(bench.remarks.of(point), asked=True)})
    start([recipe], f"Scoring {recipe}")


def actions(recipe: Recipe, point: str | None, whole: bool, now: bool) -> None:
    """What can be done with the current recipe."""
    left, middle, right = st.columns(3, gap="xsmall")
    left.button(
        "Evaluate", key="evaluate", type="primary", width="stretch",
        disabled=whole or now or bench.opened is None,
        help="Already measured" if whole else "Being measured" if now else None,
        on_click=evaluate,
    )  # fmt: skip
    with middle:
        tray.toggle_button(recipe, "compare_recipe", at_the_press)
    with right.container(key="export"):
        if point is not None:
            state.export_link({"point": point})
        else:
            named = address.of_recipe(recipe, bench.names)
            state.export_link(named, "Not measured yet: it can be written all the same")


def offer_missing(recipe: Recipe, few: tuple[int, int] | None) -> None:
    """If there are too few points for a prediction, offer to measure the missing ones."""
    if few is None or bench.opened is None:
        return
    missing = predicting.missing_recipes(
        bench.measured(), bench.objectives, recipe, bench.study, bench.names
    )
    if missing:
        points = counted(len(missing), "point")
        st.button(
            f"Measure {points} to predict from", key="missing", width="stretch",
            help=f"This method has {few[0]} of the {few[1]} points that a prediction needs",
            on_click=start, args=(missing, f"Scoring {points} of {recipe.method}"),
        )  # fmt: skip


def offer_surface(measured: Measured, recipe: Recipe) -> None:
    """Offer to measure a logit method's surface where the models run once for all of it, and to
    load the best recipe on it."""
    names = filling.objectives_of(bench, recipe)
    if not names or bench.opened is None:
        return
    filling.take(bench, filled)
    task = bench.task(filled)
    running = task is not None and not task.status.over
    others = ", ".join(each for each in bench.objective_names if each not in names)
    if not filling.is_filled(bench, measured, recipe) or running:
        left = f". They get no score on {others}" if others else ""
        st.button(
            f"Measure the surface: about {filling.count(recipe)} points", key="fill",
            width="stretch", disabled=running, on_click=fill,
            help=f"On {', '.join(names)}: these texts are given, so the models run once for all "
            f"points, in about the time of one evaluation{left}",
        )  # fmt: skip
    elif others:
        st.text(
            f"The surface is measured on {', '.join(names)} alone: its points are not on charts "
            f"of {others}, until you evaluate them."
        )
    for name, row in filling.best_of(bench, measured, recipe).items():
        st.button(
            f"Load the best for {name}", key=f"best:{name}", width="stretch",
            help=f"{measured.recipes[row]}: computed, then measured",
            on_click=taken, args=(measured.ids[row],),
        )  # fmt: skip


def fill() -> None:
    """Measure the surface around the current recipe."""
    recipe = at_the_press()
    if recipe is not None:
        filling.start(bench, recipe, filled)
        st.rerun()


def failure_of(measured: Measured, recipe: Recipe) -> str | None:
    """Why the recipe's point has no score at all, where it was tried."""
    return measured.failures.get(bench.point_id(recipe)) if measured.failures else None


def slid() -> None:
    """A slider was moved; the first time in a workspace the checklist ticks it."""
    if first_steps.take(bench, "slider"):
        st.rerun(["recipe", "chart_panel", steps.FRAGMENT])
    charting.follow()


@st.fragment(key="recipe")
def recipe_panel() -> None:
    measured = bench.measured()
    with st.container(key="controls"):
        recipe, refusal = controls.recipe_in_hand(
            bench.study, bench.names, slid,
            lambda: undo.buttons(bench.study, bench.names, charting.follow),
            lambda method: pruning.control(bench.names, method, charting.follow),
            charting.follow,
        )  # fmt: skip
    if recipe is None:
        st.text(refusal)
        return
    if controls.find_method(recipe.method).simplex:
        st.text(f"Shares: {controls.shares(recipe)}")
    found = measured.nearest(recipe)
    exact = found is not None and found.exact
    whole = found is not None and exact and measured.complete(found.row)
    now = not whole and is_measured_now(bench, recipe)
    predicted, few, trust = {}, None, {}
    if not whole and recipe.coefficients:
        asked = (measured, bench.objectives, recipe, bench.names)
        predicted, trust = predicting.predict(*asked), predicting.trust(*asked)
        few = None if exact else predicting.too_few(*asked)
    point = measured.ids[found.row] if found is not None and exact else None
    if "restored" in st.session_state:
        charting.remember(point=point, **address.of_recipe(recipe, bench.names))
    actions(recipe, point, whole, now)
    known = predicting.surfaces(measured, bench.objectives, recipe, bench.names)
    numerics = bench.known.numerics if bench.known is not None else ""
    failed = failure_of(measured, recipe)
    said = readout(measured, axes, recipe, predicted, few, failed, numerics, now, trust)
    components.readout(said, live.packed(measured, axes, known), controls.STEP)
    offer_missing(recipe, few)
    offer_surface(measured, recipe)
    if tight := fitting.warning(bench, controls.find_method(recipe.method)):
        st.text(tight)


@st.fragment(key="preference")
def preference_panel() -> None:
    caution.listen(bench, "preference")
    over = front_axes(bench)
    prefer.restore(over)
    drawn = bench, visible(bench), over, bounding.bounds()
    wanted = wishes.wishes(bench).criteria
    if preference_tab.open:
        picked = prefer.panel(
            *drawn, on_take=taken, asked=wanted,
            wish=lambda: wishes.fields(bench, charting.repick),
        )  # fmt: skip
        improving.offer(*drawn, picked, prefer.preference(over), wanted, taken)
    else:
        prefer.mark(*drawn, wanted)
    now = prefer.preference(over)
    charting.remember(prefer=to_text(now))
    if first_steps.watch(bench, "prefer", "/".join(sorted(now.names)), to_text(now)):
        st.rerun()


components.library()
steps.one_minute(bench)
restore()
bounding.restore(axes)
if "address_refused" in st.session_state:
    st.text(f"This address cannot be used: {st.session_state['address_refused']}")
wide, narrow = st.columns([2.6, 1], gap="medium")
with narrow:
    # a slider takes the browser a while to mount: those of a hidden tab are drawn when it is opened
    recipe_tab, preference_tab = st.tabs(["Recipe", "Preference"], key="side", on_change="rerun")
    with recipe_tab:
        recipe_panel()
        with st.container(key="explore_activity", gap="xsmall"):
            jobs.endings(bench, (evaluation, filled, "singles"))
    with preference_tab:
        preference_panel()
with wide:
    chart_panel()
    table_panel()
