"""What a search is asked for beside its methods, as widgets: when it ends, what it predicts with,
the weights of an evolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from engine.search.strategies import GET_GP, SURROGATES, is_search
from studio.glossary import WORDS
from studio.sweeps.searching import Options, installed
from ui.recipe import anchored


def ask(kept: dict[str, Any], objectives: Sequence[str]) -> Options | None:
    """Draw the fields of the strategy chosen; None where it is no search.

    Args:
        kept: what the form holds, changed.
    """
    strategy = kept["strategy"]
    if not is_search(strategy):
        return None
    found: dict[str, Any] = kept.setdefault("search", {"still": True, "surrogate": "quadratic"})
    if strategy == "cmaes":
        return Options(weights=tuple(_weights(found, objectives)))
    found["still"] = st.checkbox(
        "Go on only until the front stands still",
        anchored("sweep_still", found["still"]),
        key="sweep_still",
        help=WORDS["still"],
    )
    names = list(SURROGATES)
    found["surrogate"] = st.selectbox(
        "Surrogate",
        names,
        index=anchored("sweep_surrogate", names.index(found["surrogate"])),
        format_func=lambda name: f"{name}: {SURROGATES[name]}",
        key="sweep_surrogate",
    )
    if found["surrogate"] == "gp" and not installed():
        st.text(f"BoTorch is not installed. {GET_GP}")
        return None
    return Options(found["surrogate"], found["still"])


def _weights(found: dict[str, Any], objectives: Sequence[str]) -> list[tuple[str, float]]:
    """A number an objective; they are scaled to sum one."""
    weights = found.setdefault("weights", {})
    columns = st.columns(2)
    for place, name in enumerate(objectives):
        weights[name] = columns[place % 2].number_input(
            f"Weight of {name}",
            0.0,
            100.0,
            anchored(f"sweep_weight:{name}", float(weights.get(name, 1.0))),
            0.5,
            key=f"sweep_weight:{name}",
        )
    return [(name, weights[name]) for name in objectives]
