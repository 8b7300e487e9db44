"""A judge on Compare: a model behind an endpoint votes on the answers that are shown."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.errors import BadInput
from studio.votes.asked import Asked, judges_of
from studio.votes.asking import cost_of
from studio.votes.ballots import given
from studio.votes.judge import KEY_VARIABLE, Judge
from studio.votes.round import Round, of_round
from studio.workbench import Workbench
from ui import frame as state

LOOK_SECONDS = 0.5


def panel(
    bench: Workbench,
    round_for: Callable[[str], Round],
    reveal: Callable[[Round, str], None],
) -> None:
    """Endpoint and model, what it costs, the button; then what it said.

    Args:
        round_for: a voter's name -> its round on the answers.
        reveal: says what a voter said of a round.
    """
    with st.expander("Ask a judge", key="judge"):
        st.text(
            "A model behind an OpenAI-compatible endpoint votes on the answers above, both orders "
            "of each. They are sent there; nothing is sent before you confirm. A key is read from "
            f"the environment variable {KEY_VARIABLE} of this server, and is never stored."
        )
        left, right = st.columns([2, 1])
        endpoint = left.text_input(
            "Endpoint", key="judge_endpoint", persist_state="session",
            placeholder="http://127.0.0.1:8000/v1",
        )  # fmt: skip
        model = right.text_input("Judge's model", key="judge_model", persist_state="session")
        work = judges_of(bench).now
        if endpoint.strip() and model.strip():
            _ask(bench, endpoint, model, round_for, reveal)
        if work is not None:
            _watch(work)


def _ask(
    bench: Workbench,
    endpoint: str,
    model: str,
    round_for: Callable[[str], Round],
    reveal: Callable[[Round, str], None],
) -> None:
    try:
        judge = Judge(endpoint, model)
    except BadInput as error:
        state.show_problems(error.problems)
        return
    found, now = round_for(judge.name), judges_of(bench).now
    if found.left:
        st.text(f"{cost_of(found)}.")
        agreed = st.checkbox("Send the prompts and answers there, at this cost", key="judge_agreed")
        busy = now is not None and not now.over
        if st.button("Ask the judge", key="judge_ask", disabled=busy or not agreed):
            judges_of(bench).start(bench, judge, found)
            st.rerun()
    if of_round(given(bench), found, judge.name):
        reveal(found, judge.name)


def _watch(work: Asked) -> None:
    """How far it is, while it works."""
    running = not work.over

    @st.fragment(key="judging", run_every=LOOK_SECONDS if running else None)
    def draw() -> None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"{work.judge}: {work.words()}", width="stretch")
            if not work.over and st.button("Stop", key="judge_stop"):
                work.stop()
        if running and work.over:
            st.rerun()

    draw()
