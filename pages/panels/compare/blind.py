"""Blind votes: which of two answers is better, asked without their names; then who won."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from engine.counted import counted
from engine.recipe import Recipe
from pages.panels.compare import judging
from pages.panels.compare.answers import result_of
from studio.compare.comparing import Asked, title
from studio.points.titles import name_of, titled
from studio.task import Task
from studio.votes.ballots import PERSON, Choice, given
from studio.votes.objective import save_scores
from studio.votes.positions import measured_axes, proposal, proposal_words
from studio.votes.round import HOW, Round, of_round, round_of, verdict
from studio.workbench import Workbench
from ui import tray as trays
from ui.components import declare

KEYS = "1 left, 2 right, 3 tie, 4 both bad: anywhere on the page but in a field"

_ballot = declare("ballot", '<div class="ballot"></div>')


def voting() -> bool:
    """Whether this session is in a round, so that nothing else may tell the columns."""
    return "vote_round" in st.session_state


def offer(bench: Workbench, task: Task, tray: Sequence[Recipe]) -> None:
    """Under the answers: begin a round on them, and what the votes on them say so far."""
    asked, result = Asked.of(task.handle.job.payload), result_of(task)
    if result is None or sum(asked.column(each) is not None for each in tray) < 2:
        return
    found = _of(bench, task, result)
    if len(found.recipes) < 2:
        return
    st.subheader(
        "Blind votes", anchor=False,
        help="Each pair of answers without their names, in random order, each question in both "
        f"orders. Keys: {KEYS}",
    )  # fmt: skip
    mine = of_round(given(bench), found)
    with st.container(horizontal=True, vertical_alignment="center"):
        said = f"{counted(len(found.left), 'vote')} of {found.total} left."
        if found.same:
            said += f" {counted(found.same, 'question has', 'questions have')} the same answer"
            said += " twice and are not asked." if found.same > 1 else " twice and is not asked."
        st.text(said if found.total else "These answers do not differ: there is nothing to vote on")
        if found.left and st.button("Go on voting" if mine else "Vote blind", key="vote"):
            st.session_state["vote_round"] = found
            st.rerun()
    if mine:
        save_scores(bench)  # an objective that counts votes may be younger than they are
        reveal(bench, found, tray)
    judging.panel(
        bench,
        lambda by: _of(bench, task, result, by),
        lambda judged, by: reveal(bench, judged, tray, by),
    )


def _of(bench: Workbench, task: Task, result: Any, by: str = PERSON) -> Round:
    """A voter's round on a comparison, made again when votes came."""
    key = (task.handle.id, given(bench), bench.known)
    rounds: dict[str, tuple[Any, Round]] = st.session_state.setdefault("votes_of", {})
    if by not in rounds or rounds[by][0] != key:
        rounds[by] = key, round_of(bench, task.handle.job.payload, result, by)
    return rounds[by][1]


def reveal(bench: Workbench, found: Round, tray: Sequence[Recipe], by: str = PERSON) -> None:
    """Who won, a line a pair; the columns by their letters and names."""
    names = {}
    for point, recipe in found.recipes.items():
        if recipe in tray:
            names[point] = title(tray.index(recipe), recipe, name_of(bench, recipe))
        else:
            names[point] = titled(bench, recipe)
    with st.container(key="votes" if by == PERSON else "judge_votes", gap="xsmall"):
        for line in verdict(given(bench), found, names, by):
            st.text(line)
        st.text(HOW)
        _propose(bench, by)


def _propose(bench: Workbench, by: str) -> None:
    """What the votes say about the front, and the pair that would say most more."""
    found = proposal(bench, measured_axes(bench), by)
    if found is None or not found.questions:
        return
    measured = bench.measured()
    for line in proposal_words(found, lambda point: measured.text(measured.row_of[point])):
        st.text(line)
    if found.pair is not None and by == PERSON:
        st.button(
            "Compare the next pair", key="next_pair", on_click=_take, args=(bench, found.pair),
            help="Replaces the columns with the two points whose answers would tell most about "
            "which point of the front serves you best",
        )  # fmt: skip


def _take(bench: Workbench, pair: tuple[str, str]) -> None:
    measured = bench.measured()
    trays.tray()[:] = [measured.recipes[measured.row_of[point]] for point in pair]


def booth(bench: Workbench) -> None:
    """A round: one ballot at a time, until all have a vote or the user ends it."""
    found: Round = st.session_state["vote_round"]

    @st.fragment(key="booth")
    def draw() -> None:
        if found.now is None:
            _end()
            st.rerun()
        _ballot(key="ballot", data=found.drawn(), on_voted_change=heard)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"Keys: {KEYS}.", width="stretch")
            st.button(
                "Take the last vote back", key="take_back", disabled=not found.cast,
                on_click=found.take_back, args=(bench,),
            )  # fmt: skip
            if st.button("End and reveal", key="end_votes", help="Votes so far are kept"):
                _end()
                st.rerun()

    def heard() -> None:
        said = st.session_state["ballot"]["voted"]
        found.vote(bench, str(said["token"]), cast(Choice, said["choice"]))

    draw()


def _end() -> None:
    st.session_state.pop("vote_round", None)
    st.session_state.pop("votes_of", None)
