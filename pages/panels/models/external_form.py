"""What others measured: import a file of results as external points, list and remove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.errors import BadInput
from engine.study import Direction
from studio.external.found import Model
from studio.external.mapping import READERS, mapped, read
from studio.external.points import External, Externals, externals_of
from studio.opening import typed_path
from studio.points.numbers import how_sure
from studio.workbench import Workbench
from ui import browse, listing
from ui import frame as state

KEY = "external"
UNKNOWN = "the file does not say"
WAYS: Mapping[str, Direction | None] = {
    UNKNOWN: None, "more is better": "maximize", "less is better": "minimize",
}  # fmt: skip


def show(bench: Workbench) -> None:
    """Draw it."""
    st.text(
        "Results of others stand beside your points: an x on Explore's trade-off, and a row below "
        "its table. They are on no front, and no slider, prediction or export uses them. Whether "
        "they were measured on the same data in the same way is for you to know."
    )
    externals = externals_of(bench)
    _list(bench, externals)
    typed = browse.field(
        "Results file", f"{KEY}_file", endings=tuple(READERS),
        help="lm-eval's results .json (its samples beside it are read too), a .csv or a .parquet "
        "with a row for each model",
    )  # fmt: skip
    if not typed.strip():
        return
    try:
        models = read(typed_path(typed, "Results file"))
    except BadInput as error:
        state.show_problems(error.problems)
        return
    _form(bench, externals, models)


def _list(bench: Workbench, externals: Externals) -> None:
    found = externals.all()
    if said := st.session_state.pop(f"{KEY}_said", None):
        st.success(browse.plain(said), icon=":material/check:")
    if not found:
        return
    fresh = {each.id: each.scores for each in externals.shown(bench.objectives)}
    listing.table([_row(each, fresh.get(each.id, {})) for each in found], paths=("file",))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.selectbox(
            "External point", range(len(found)), key=f"{KEY}_chosen", width=320,
            format_func=lambda row: found[row].name,
        )  # fmt: skip
        st.button(
            "Remove", key=f"{KEY}_remove", on_click=_remove, args=(externals, found[place].id),
            help="Take it off this study; the file stays as it is",
        )  # fmt: skip


def _remove(externals: Externals, point: str) -> None:
    externals.remove([point])


def _row(external: External, fresh: Mapping[str, object]) -> dict[str, str]:
    said = []
    for name, score in external.scores.items():
        shown = score.document()
        sure = how_sure(shown["stderr"], shown["low"], shown["high"]) or " (no error given)"
        old = "" if name in fresh else " (not shown: the objective is another now)"
        said.append(f"{name} {shown['mean']:.3f}{sure}{old}")
    forms = dict.fromkeys(each.form for each in external.scores.values())
    files = dict.fromkeys(each.file for each in external.scores.values())
    return {
        "model": external.name,
        "scores": ", ".join(said),
        "from": ", ".join(forms),
        "file": ", ".join(files),
    }


def _form(bench: Workbench, externals: Externals, models: Sequence[Model]) -> None:
    """Which value is whose score; then the button."""
    keys = list(dict.fromkeys(key for model in models for key in model.values))
    if not keys:
        st.text("This file holds no numbers.")
        return
    of = models[0].form
    if len(models) == 1:
        name = st.text_input("Name of the model", models[0].name, key=f"{KEY}_name:{of}")
    else:
        name = None
        st.text(f"{len(models)} models: {', '.join(each.name for each in models[:8])}")
    given: dict[str, str] = {}
    directions: dict[str, Direction] = {}
    for objective in bench.objectives:
        left, right = st.columns([2, 1])
        meant = models[0].named(objective.name)
        key = left.selectbox(
            f"{objective.name} ({objective.direction})", keys,
            index=keys.index(meant[0]) if len(meant) == 1 else None,
            key=f"{KEY}_of:{objective.name}:{of}", placeholder="none of them",
        )  # fmt: skip
        if key is None:
            continue
        given[objective.name] = key
        if _undirected(models, key):
            word = right.selectbox(
                f"{browse.plain(key)} there", list(WAYS), key=f"{KEY}_way:{objective.name}:{of}"
            )
            if (way := WAYS[word]) is not None:
                directions[objective.name] = way
    if st.button("Import", key=f"{KEY}_import", type="primary", disabled=not given):
        try:
            chosen = [each for each in bench.objectives if each.name in given]
            scores = mapped(models, chosen, given, directions)
            if name is not None:
                scores = dict(zip([name], scores.values(), strict=True))
            added = externals.add(scores)
        except BadInput as error:
            state.show_problems(error.problems)
            return
        st.session_state[f"{KEY}_said"] = f"Imported {', '.join(each.name for each in added)}."
        st.rerun()


def _undirected(models: Sequence[Model], key: str) -> bool:
    """Whether a file of a kind that says which direction is better does not say it of this."""
    try:
        found = [model.values[key]() for model in models if key in model.values]
    except BadInput:
        return False  # said once it is imported
    return any(each.told and each.higher is None for each in found)
