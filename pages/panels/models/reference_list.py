"""The references of a study: what they score, and the button that measures what is missing."""

from __future__ import annotations

import streamlit as st

from studio.points.numbers import how_sure
from studio.references import Reference, references_of
from studio.workbench import Workbench
from ui import frame as state
from ui import jobs, listing


def show(bench: Workbench, session: str) -> None:
    """Draw it, where the study has some.

    Args:
        session: of the job that scores them.
    """
    if not bench.study.references:
        return
    st.text(
        "References are scored like the study's models and never mixed: on no slider and no front, "
        "with a mark of their own on Explore's trade-off and a row below its table."
    )
    found = references_of(bench)
    for refused in found.refused.values():
        state.show_problems(refused.problems)
    scores = {each.name: each.scores for each in found.shown()}
    rows = []
    for each in found.all.values():
        said = [
            f"{name} {score.mean:.3f}{how_sure(score.stderr, None, None)}"
            for name, score in scores.get(each.name, {}).items()
        ]
        skipped = [f"{name}: {why}" for name, why in each.skipped.items()]
        rows.append(
            {
                "reference": each.name,
                "scores": ", ".join(said) or "not measured",
                "not measured on": "; ".join(skipped) or "–",
                "directory": str(each.path),
            }
        )
    if rows:
        listing.table(rows, paths=("directory",))
    lacking = found.lacking()
    task = bench.task(session)
    running = task is not None and not task.status.over
    if lacking and st.button(
        "Score the references", key="score_references",
        disabled=running or bench.opened is None,
        help="Measures what is missing; each model is loaded by itself",
    ):  # fmt: skip
        _score(bench, lacking, session)
        st.rerun()
    jobs.endings(bench, (session,))


def _score(bench: Workbench, lacking: list[Reference], session: str) -> None:
    """A job for each, one after the other."""
    for place, each in enumerate(lacking):
        own = session if place == len(lacking) - 1 else f"{session}:{each.name}"
        bench.submit(f"Scoring {each.name}", "evaluate", each.payload(), own, "sweep")
