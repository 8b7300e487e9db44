"""The app's ways in, without a browser: what an address names, what is typed into a form, and the
blobs it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cache.blobs import Blobs
from engine.errors import BadInput
from engine.recipe import METHODS, Names, recipe_from_dict, resolve
from engine.study import load_study
from engine.study_family import WORDING_KEYS
from studio.data_preview import see
from studio.decide.bounds import from_text as bounds_from_text
from studio.decide.preference import from_text
from studio.drafting import Draft, check_draft
from studio.export import exports
from studio.opening import read_study, typed_path
from studio.points.view import Measured
from studio.study_editor import document_of, texts_of
from studio.study_text import add_objective
from tests.fuzz.changes import NUMBERS, TEXTS, in_bytes, in_text, in_tree, odd
from tests.fuzz.corpus import DATA, Corpus
from tests.fuzz.watching import Input
from ui import address

Inputs = st.SearchStrategy[Input]

NAMES = Names(("helpful", "terse"), False)


def _measured() -> Measured:
    recipes = tuple(
        resolve(recipe_from_dict({"method": "linear", "coefficients": {"helpful": k, "base": 1}}),
                NAMES)
        for k in (0.25, 0.5)
    )  # fmt: skip
    ones = np.ones((2, 2))
    return Measured(("has", "loss"), ("0123456789ab", "0123456789ac"), recipes, ones, ones)


MEASURED = _measured()


def refusing(call: Callable[..., Any]) -> Callable[..., str]:
    """What a page does with it: a refusal is shown, and is no fault."""

    def called(*words: str) -> str:
        try:
            call(*words)
        except BadInput as error:
            return f"refused: {error}"
        return "taken"

    called.__name__ = call.__name__
    return called


def recipe_of_address(method: str, c: str, p: str) -> None:
    found = address.to_recipe({"method": method, "c": c, "p": p}, NAMES)
    if found is not None:
        again = address.of_recipe(found, NAMES)
        asked = {name: value for name, value in again.items() if value is not None}
        address.to_recipe(asked, NAMES)


def tray_of_address(text: str) -> None:
    found, _ = address.to_tray(text, MEASURED, NAMES)
    address.of_tray(found, MEASURED, NAMES, lambda _: "0123456789ab")


def other_parameters(text: str) -> None:
    bounds_from_text(text, MEASURED.names)
    from_text(text, MEASURED.names)
    exports.look_up(MEASURED, text)
    texts_of(text)


def study_of_address(text: str) -> None:
    read_study(typed_path(text, "Study file"))


def draft(text: str) -> None:
    fields = json.loads(text)
    words = {"base": {key: fields.pop(key) for key in WORDING_KEYS}}
    experts = [tuple(each) for each in fields.pop("experts")]
    check_draft(Draft(**fields, experts=experts, words=words))


def objective(study: str, text: str) -> None:
    document = document_of(json.loads(text))
    see(document, Path(study))
    path = Path(study)
    before = path.read_bytes()
    try:
        add_objective(path, document)
        load_study(path)
    finally:
        path.write_bytes(before)
        for each in path.parent.glob(f"{path.stem}*.bak*"):
            each.unlink()


def read_blobs(workspace: str) -> None:
    with Blobs(workspace) as blobs:
        found = blobs.get_text("text"), blobs.get_number("number"), blobs.get_array("text")
        blobs.put_text("another", "text")
    assert found[0] in (None, "a kind answer turns away anger " * 2000), "a blob came back altered"
    assert found[1:] in ((0.5, None), (None, None)), "a number came back altered"


def _call(door: str, call: Callable[..., Any], *words: st.SearchStrategy[str]) -> Inputs:
    return st.tuples(*words).map(lambda said: Input(door, said, call=refusing(call)))


def _text(sound: str) -> st.SearchStrategy[str]:
    return st.one_of(
        in_text(sound.encode()).map(lambda found: found.decode("utf-8", "surrogatepass")),
        in_bytes(sound.encode()).map(lambda found: found.decode("utf-8", "replace")),
        st.sampled_from(TEXTS),
        st.text(max_size=20),
    )


def pages(corpus: Corpus) -> Inputs:
    """Addresses and forms."""
    typed = {
        "name": "s", "place": str(corpus["new"]), "base": str(corpus["base"]),
        "experts": [["helpful", str(corpus["helpful"])]], "target": "", "tokenizer": "base",
        "template": "", "system": "", "prefix": "",
    }  # fmt: skip
    fields = [{"name": "new", "data": name, **objective} for name, objective in DATA.items()]
    trees = st.sampled_from(fields).flatmap(lambda each: in_values(each))
    numbers = st.sampled_from(NUMBERS).map(str)
    return st.one_of(
        _call(
            "address", recipe_of_address, st.one_of(st.sampled_from(sorted(METHODS)), _text("pcb")),
            st.one_of(_text("helpful:1,terse:0.6"), numbers.map("helpful:{}".format)),
            st.one_of(_text("ratio:0.2,groups:2"), numbers.map("strength:{}".format)),
        ),
        _call("address", tray_of_address,
              _text("base,0123456789ab,pcb(helpful:1;terse:0.6)(ratio:0.2)")),
        _call("address", other_parameters, _text("has:0.6..,loss:..1.25")),
        _call("address", study_of_address,
              st.one_of(_text(str(corpus["study.yaml"])), st.sampled_from(TEXTS))),
        _call("form", draft, in_typed(typed).map(json.dumps)),
        _call("form", objective, st.just(str(corpus["on-rows.jsonl.yaml"])), trees.map(json.dumps)),
    )  # fmt: skip


@st.composite
def in_values(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """A form keeps its scorer, which is chosen; the rest is typed."""
    found = draw(in_tree(fields))
    kept = {"name": "new", "scorer": fields["scorer"]}
    return {**kept, **found, "scorer": fields["scorer"]} if isinstance(found, dict) else kept


@st.composite
def in_typed(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """A form's fields hold texts."""
    found = dict(fields)
    name = draw(st.sampled_from(sorted(fields)))
    word = draw(st.one_of(st.sampled_from(TEXTS), st.text(max_size=9), odd().map(str)))
    found[name] = [[word, word], ["x", fields["base"]]] if name == "experts" else word
    return found


def blobs(corpus: Corpus) -> Inputs:
    ways = [
        in_bytes(corpus.sound[file]).map(
            lambda held, file=file: Input(
                "blobs", (str(corpus["workspace"]),), file, held, refusing(read_blobs)
            )
        )
        for file in corpus.under("workspace/blobs")
    ]
    return st.one_of(*ways)
