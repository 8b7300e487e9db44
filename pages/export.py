"""Export: writes one point as an ordinary directory on the machine that runs the app."""

from __future__ import annotations

import streamlit as st

from engine.errors import BadInput
from pages.panels.export import made, scores, which, writing
from ui import frame as state
from ui import jobs, opened

bench = state.enter("Export")
job = f"{opened.session()}:export"
evaluation = f"{opened.session()}:evaluate"


measured = bench.measured()
try:
    model = which.choose(bench, measured)
except BadInput as error:
    state.show_problems(error.problems)
    model = None
if model is None:
    starting = bench.known is None or not len(measured)
    st.text(
        "The models are being scored; after that, there is something to export."
        if starting
        else "No point has a score on every objective yet: evaluate a recipe on Explore."
    )
    st.page_link(state.page("explore"), label="Explore", icon=":material/arrow_back:")
    jobs.endings(bench, ("singles",))
else:
    left, right = st.columns(2, gap="large")
    with left:
        scores.panel(bench, measured, model, evaluation)
    with right:
        writing.ask(bench, model, job)
        made.activity(bench, model.recipe, job, evaluation)
        made.live(bench, model)
made.earlier(bench)
