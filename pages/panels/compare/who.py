"""Who said it: the switch over the answers, and the job that reads them once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.recipe import Recipe
from studio.compare.attribution import WORDS, attributable, payload_of, with_attribution
from studio.compare.comparing import Asked
from studio.task import Task
from studio.workbench import Workbench

LABEL = "Who said it"
NONE = "Every column is one model, merged or as it is: there is nothing to attribute"


@dataclass(frozen=True)
class Who:
    """Asks for attributions of a page's comparison.

    Attributes:
        session: of its job.
    """

    bench: Workbench
    session: str

    def switch(self, tray: Sequence[Recipe]) -> bool:
        """Draw the switch; whether it is on."""
        some = any(map(attributable, tray))
        # a widget's own key is gone while another page is shown
        st.session_state.setdefault("who", st.session_state.get("who_said", False))
        on = st.toggle(LABEL, key="who", disabled=not some, help=None if some else NONE)
        st.session_state["who_said"] = on
        return on and some

    @property
    def seen(self) -> object:
        """What is shown of the job."""
        task = self.bench.task(self.session)
        return None if task is None else (task.handle.id, task.status.state)

    def said(
        self,
        drawn: Mapping[str, Any],
        tray: Sequence[Recipe],
        comparison: Task,
        result: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """The grid with who said what, as far as that is known; asks for it where it is not.

        Args:
            result: of the comparison; None while it runs and where it failed.
        """
        asked = Asked.of(comparison.handle.job.payload)
        if result is None:
            words = "Who said it is told of answers that are finished."
            return with_attribution(drawn, tray, asked, None, words)
        wanted = {n for each in tray if attributable(each) for n in [asked.column(each)]}
        flags = [n in wanted for n in range(len(asked.recipes))]
        payload = payload_of(comparison.handle.job.payload, result, flags)
        if not any(payload["token_ids"]):
            return with_attribution(drawn, tray, asked, None, "No answer can be attributed.")
        task = self.bench.task(self.session)
        if task is None or not payload.items() <= task.handle.job.payload.items():
            task = self.bench.submit("Reading answers", "attribute", payload, self.session)
        status = task.status
        if status.state == "done":
            return with_attribution(drawn, tray, asked, task.handle.result(0)["columns"], WORDS)
        words = "Reading the answers once more."
        if status.state == "failed":
            words = f"Who said it is not known: {status.reason or status.failure}."
        return with_attribution(drawn, tray, asked, None, words)
