"""What is pruned after the merge: an objective, a ratio and a score, beside the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from engine.prune import VARIANTS, Prune
from engine.recipe import Method, Names, find_method
from studio.glossary import WORDS
from ui.recipe import anchored, hand, span

RATIOS = (0.0, 0.2)
"""The slider's range: beyond it a model falls apart."""

STEP = 0.01


def _key(method: Method, part: str) -> str:
    return f"prune_{part}:{method.name}:{hand().generation}"


def _label(prune: Prune | None) -> str:
    return "Prune" if prune is None else f"Pruned {prune.ratio:g}"


def can_prune(names: Names, method: Method) -> bool:
    """Whether there are merged weights, and rows to prune them on."""
    return method.space == "weight" and names.rows is not None and bool(names.rows.names)


def hear(names: Names) -> None:
    """Take what the widgets say into the hand, for a callback."""
    held, said = hand(), st.session_state
    method = find_method(held.method)
    if _key(method, "ratio") in said:
        ratio = float(said[_key(method, "ratio")])
        objective, variant = (said[_key(method, part)] for part in ("objective", "variant"))
        held.prunes[method.name] = Prune(objective, ratio, variant) if ratio else None


def control(names: Names, method: Method, on_change: Callable[[], Any]) -> None:
    """The folded control; nothing where nothing can be pruned.

    Args:
        on_change: called when something was changed, before anything is drawn again.
    """
    if not can_prune(names, method):
        return
    assert names.rows is not None
    now, objectives = hand().prunes.get(method.name), list(names.rows.names)

    def changed() -> None:
        hear(names)
        on_change()

    def choice(label: str, part: str, options: list[str], value: str, **more: Any) -> None:
        key = _key(method, part)
        at = anchored(key, options.index(value) if value in options else 0)
        st.selectbox(label, options, index=at, key=key, on_change=changed, **more)

    with st.popover(_label(now), key="prune_open", help=WORDS["pruning"]):
        key = _key(method, "ratio")
        ratio = anchored(key, now.ratio if now is not None else 0.0)
        low, high = span(*RATIOS, ratio)
        st.slider(
            "Share of weights to zero", low, high, ratio, step=STEP, key=key, on_change=changed,
            help="0 prunes nothing; the published runs used 0.1",
        )  # fmt: skip
        choice(
            "On the rows of", "objective", objectives, now.objective if now is not None else "",
            help="An objective that asks for what the model should not say; its explored rows only",
        )  # fmt: skip
        choice(
            "Score", "variant", list(VARIANTS), now.variant if now is not None else "",
            help="; ".join(f"{name}: {said}" for name, said in VARIANTS.items()),
        )  # fmt: skip
