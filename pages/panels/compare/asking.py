"""What the columns are asked: an objective's rows or typed prompts, and the decoding settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from engine.counted import counted
from engine.scoring.data import Row
from engine.study import Objective
from studio.compare.comparing import (
    DEFAULT_ROWS,
    PROMPTS,
    Settings,
    prompt_of,
    prompt_text,
    typed_prompts,
)
from ui.recipe import anchored

OPTIONS = 300
"""Rows that the list of prompts offers; the table of examples offers all."""
SHOWN = 60

ROWS, TYPED = "rows of the objective", "typed"


@dataclass
class Ask:
    """What is asked, of one browser session and one objective.

    Attributes:
        rows: places in the explore split.
        chosen: whether a user chose the rows; until then they are those where columns differ.
        generation: grows when code changed a value, so that new widgets show it.
        refusal: why nothing was asked; empty otherwise.
    """

    settings: Settings
    rows: list[int] = field(default_factory=list)
    chosen: bool = False
    typed: str = ""
    whole: bool = False
    generation: int = 0
    refusal: str = ""

    def choose(self, rows: Sequence[int]) -> None:
        """Use the selected rows of the table of examples."""
        self.rows = list(rows)[:PROMPTS]
        self.chosen = True
        self.generation += 1

    def begin_with(self, rows: Sequence[int]) -> None:
        """Ask these until a user chooses others."""
        if not self.chosen and self.rows != list(rows):
            self.rows = list(rows)
            self.generation += 1

    def seeded(self, settings: Settings) -> None:
        self.settings = settings
        self.generation += 1


def source(has_rows: bool) -> str:
    """Where prompts come from."""
    options = [ROWS, TYPED] if has_rows else [TYPED]
    kept = st.session_state.get("prompts_from", ROWS)
    key = f"prompts_from:{has_rows}:{st.session_state.get('prompts_turned', 0)}"
    at = anchored(key, options.index(kept) if kept in options else 0)
    chosen = st.selectbox("Prompts", options, index=at, key=key)
    if has_rows:
        st.session_state["prompts_from"] = chosen
    return chosen


def turn_to_rows() -> None:
    """Prompts come from the objective's rows again."""
    st.session_state["prompts_from"] = ROWS
    st.session_state["prompts_turned"] = st.session_state.get("prompts_turned", 0) + 1


def ask_of(objective: Objective, chosen: str, rows: Sequence[Row], chat: bool) -> Ask:
    """What is asked so far; at first the objective's own settings, and its first rows.

    Args:
        chat: whether the family has a chat template.
    """
    asks: dict[tuple[str, str], Ask] = st.session_state.setdefault("asks", {})
    if (objective.name, chosen) not in asks:
        own = objective.data is not None
        asks[objective.name, chosen] = Ask(
            Settings(
                chat=chat and (objective.chat or chosen == TYPED),
                max_new_tokens=objective.max_new_tokens if own else 64,
                temperature=objective.temperature,
                top_p=objective.top_p,
                seed=objective.seed,
            ),
            list(range(min(DEFAULT_ROWS, len(rows)))),
        )
    return asks[objective.name, chosen]


def prompts_of(ask: Ask, chosen: str, rows: Sequence[Row]) -> list[Any]:
    """The prompts as a job takes them."""
    if chosen == TYPED:
        return list(typed_prompts(ask.typed, ask.whole))
    return [prompt_of(rows[place]) for place in ask.rows if place < len(rows)]


def form(
    objective: Objective,
    chosen: str,
    rows: Sequence[Row],
    chat: bool,
    on_ask: Callable[[Ask], None],
) -> Ask:
    """The form; "Answer" takes what it holds and calls `on_ask(ask)`."""
    ask = ask_of(objective, chosen, rows, chat)
    scope = f"{objective.name}:{chosen}:{ask.generation}"

    def key(name: str) -> str:
        return f"{name}:{scope}"

    def take() -> None:
        held = st.session_state
        if chosen == TYPED:
            ask.typed, ask.whole = held[key("typed")], held[key("whole")]
        else:
            ask.chosen = ask.chosen or ask.rows != list(held[key("rows")])
            ask.rows = list(held[key("rows")])
        ask.settings = Settings(**{name: held[key(name)] for name in vars(Settings())})
        on_ask(ask)

    with (
        st.form("ask", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", key="ask_line"),
    ):
        if chosen == TYPED:
            st.text_area(
                "Prompts, a blank line between two", anchored(key("typed"), ask.typed),
                key=key("typed"), height=110,
            )  # fmt: skip
        else:
            st.multiselect(
                "Rows, by their line in the data", _options(ask, rows), key=key("rows"),
                default=anchored(key("rows"), [n for n in ask.rows if n < len(rows)]),
                format_func=lambda place: _row_text(rows[place]), max_selections=PROMPTS,
                help="The table of examples below lists every row",
            )  # fmt: skip
        with st.popover(settings_text(ask.settings), width="content", key="ask_settings"):
            _settings(ask, key, chat, chosen)
        # one key whatever it asks: a press on a button that has just been replaced is not heard
        st.form_submit_button("Answer", type="primary", on_click=take, key="answer")
    if ask.refusal:
        st.text(ask.refusal)
    return ask


def settings_text(now: Settings) -> str:
    """The label of the settings: what is applied now."""
    parts = [counted(now.max_new_tokens, "token"), "chat" if now.chat else "no chat"]
    if now.temperature > 0:
        parts.append(f"temperature {now.temperature:g}")
        if now.top_p < 1:
            parts.append(f"top p {now.top_p:g}")
        parts.append(f"seed {now.seed}")
    else:
        parts.append("greedy")
    return ", ".join(parts)


def _settings(ask: Ask, key: Callable[[str], str], chat: bool, chosen: str) -> None:
    now = ask.settings
    st.text("Changes take effect when you press Answer.")
    st.number_input(
        "Max new tokens", 1, None, anchored(key("max_new_tokens"), now.max_new_tokens),
        key=key("max_new_tokens"),
    )  # fmt: skip
    st.number_input(
        "Temperature", 0.0, None, anchored(key("temperature"), now.temperature), step=0.1,
        key=key("temperature"), help="0 is greedy decoding: always the most likely token",
    )  # fmt: skip
    st.number_input(
        "Top p", 0.0, 1.0, anchored(key("top_p"), now.top_p), step=0.05, key=key("top_p"),
        help="Nucleus sampling: draws from the most likely tokens that together reach this "
        "probability",
    )  # fmt: skip
    st.number_input(
        "Seed", value=anchored(key("seed"), now.seed), key=key("seed"),
        help="All columns use the same random numbers",
    )  # fmt: skip
    st.checkbox(
        "Chat", anchored(key("chat"), now.chat), key=key("chat"), disabled=not chat,
        help="Wrap each prompt as a user message in the chat template"
        if chat else "The tokenizer has no chat template",
    )  # fmt: skip
    if chosen == TYPED:
        st.checkbox(
            "Treat the text as one prompt", anchored(key("whole"), ask.whole), key=key("whole")
        )


def _options(ask: Ask, rows: Sequence[Row]) -> list[int]:
    return sorted({*range(min(OPTIONS, len(rows))), *(n for n in ask.rows if n < len(rows))})


def _row_text(row: Row) -> str:
    text = " ".join(prompt_text(prompt_of(row)).split())
    return f"{row.line}: {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}"
