"""The entry points: which file each reads, and the command that reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import app_doors, serve_door
from tests.fuzz.changes import NUMBERS, TEXTS, changed
from tests.fuzz.corpus import DATA, Corpus
from tests.fuzz.watching import Input

Inputs = st.SearchStrategy[Input]

STUDY, ON_DATA = "study.yaml", tuple(f"on-{name}.yaml" for name in DATA)


def words(corpus: Corpus, *parts: str) -> st.SearchStrategy[tuple[str, ...]]:
    """A command, with and without --json; `@name` is a path of the corpus."""
    found = tuple(str(corpus[each[1:]]) if each.startswith("@") else each for each in parts)
    return st.sampled_from([(*found, *more) for more in ((), ("--json",))])


def _at(corpus: Corpus, command: st.SearchStrategy[tuple[str, ...]], place: str) -> Any:
    return command.map(lambda each: (*each, "--workspace", str(corpus[place])))


def door(corpus: Corpus, name: str, file: str, *commands: tuple[str, ...]) -> Inputs:
    """A file that is changed, and one of the commands that read it."""
    place = "work" if not file.startswith("workspace") else "workspace"
    command = st.one_of(*(_at(corpus, words(corpus, *each), place) for each in commands))
    content = changed(file, corpus.sound[file])
    return st.builds(
        lambda said, held: Input(name, said, file, held),
        command,
        content,
    )


def studies(corpus: Corpus) -> Inputs:
    reads = (("check",), ("check",), ("front",), ("recommend", "--weight", "has=1"))
    ways = [
        door(corpus, "study", file, *((each[0], f"@{file}", *each[1:]) for each in reads))
        for file in (STUDY, *ON_DATA)
    ]
    return st.one_of(*ways)


def recipes(corpus: Corpus) -> Inputs:
    recipe = ("--recipe", "@recipe.yaml")
    return door(
        corpus, "recipe", "recipe.yaml",
        ("evaluate", "@study.yaml", *recipe),
        ("generate", "@study.yaml", *recipe, "--prompt", "the"),
        ("export", "@study.yaml", *recipe, "@out"),
    )  # fmt: skip


def merges(corpus: Corpus) -> Inputs:
    weights = [
        door(corpus, "merge", file, ("merge", f"@{merge}", "@out"))
        for file in corpus.under("twin/", "sharded/model")
        for merge in ("merge.yaml", "mergekit.yaml")
    ]
    files = [
        door(corpus, "merge", file, ("merge", f"@{file}", "@out"))
        for file in ("merge.yaml", "mergekit.yaml")
    ]
    return st.one_of(*files, st.one_of(*weights))


def models(corpus: Corpus) -> Inputs:
    """Configurations, tokenizers, templates, headers, indexes, adapters: what `check` reads."""
    apart = [
        door(corpus, "model", file, ("check", "@on-chats.jsonl.yaml"))
        for file in corpus.under("sharded/", "twin/")
    ]
    small = [
        door(corpus, "model", file, ("check", "@study.yaml"))
        for file in corpus.under("base/", "helpful/", "terse/")
    ]
    return st.one_of(*apart, *small)


def loaded(corpus: Corpus) -> Inputs:
    """The same, read by the worker."""
    evaluate = ("evaluate", "@study.yaml", "--recipe", "@recipe.yaml", "--objectives", "loss")
    chats = ("generate", "@on-chats.jsonl.yaml", "--recipe", "@single.yaml", "--chat",
             "--prompt", "the", "--max-new-tokens", "2")  # fmt: skip
    ways = [
        door(corpus, "loaded", file, evaluate)
        for file in corpus.under("base/", "helpful/", "terse/")
    ]
    ways += [door(corpus, "loaded", file, chats) for file in corpus.under("twin/", "sharded/")]
    return st.one_of(*ways)


def data(corpus: Corpus) -> Inputs:
    return st.one_of(*(door(corpus, "data", file, ("check", f"@on-{file}.yaml")) for file in DATA))


def tables(corpus: Corpus) -> Inputs:
    given = ("--csv", "@points.csv", "--directions", "max,min")
    return door(
        corpus, "table", "points.csv",
        ("front", *given),
        ("front", *given, "--reference", "-1,4"),
        ("recommend", *given, "--weight", "a=1", "b=2", "--at-least", "a=1.5"),
    )  # fmt: skip


def workspaces(corpus: Corpus) -> Inputs:
    kept = corpus.under("workspace/journal", "workspace/segments", "workspace/fingerprints")
    ways = [
        door(corpus, "workspace", file, ("front", "@study.yaml"),
             ("recommend", "@study.yaml", "--weight", "has=1"))
        for file in kept
    ]  # fmt: skip
    return st.one_of(*ways, app_doors.blobs(corpus))


ARGUMENTS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "check": (("@study.yaml",), {}),
    "front": (("@study.yaml",), {"--objectives": "has", "--reference": "1,2,3", "--csv": "x",
                                 "--directions": "max"}),
    "recommend": (("@study.yaml", "--weight", "has=1"), {
        "--at-least": "has=0.1", "--at-most": "loss=9", "--weight": "loss=2"}),
    "generate": (("@study.yaml", "--recipe", "@recipe.yaml", "--prompt", "the"), {
        "--max-new-tokens": "3", "--temperature": "0.5", "--top-p": "0.9", "--top-k": "4",
        "--seed": "1", "--stop": "e", "--template-kwargs": '{"a": 1}', "--prompt": "a"}),
    "evaluate": (("@study.yaml",), {"--point": "0123456789ab", "--recipe": "@recipe.yaml",
                                    "--objectives": "has", "--split": "explore"}),
    "sweep": (("@study.yaml", "--executor", "inline", "--method", "linear", "--points", "2"), {
        "--strategy": "sobol", "--seed": "3", "--method": "pcb", "--objectives": "loss"}),
    "export": (("@study.yaml", "--recipe", "@recipe.yaml", "@out"), {"--point": "0123"}),
    "merge": (("@merge.yaml", "@out"), {"--dtype": "float32", "--shard-size": "1MB",
                                        "--memory": "1GB"}),
    "demo": (("@full",), {"--seed": "1"}),
}  # fmt: skip
"""Command -> what it needs, and options with a value that it takes."""

COMMON = {"--device": "cpu", "--compute-dtype": "float32"}


@st.composite
def arguments(draw: st.DrawFn, corpus: Corpus) -> Input:
    """A command's arguments, of which one or two are odd, left out, or given twice."""
    command = draw(st.sampled_from(sorted(ARGUMENTS)))
    needed, options = ARGUMENTS[command]
    said = [command, *needed]
    for name in draw(st.lists(st.sampled_from([*options, *COMMON]), max_size=2)):
        said += [name, {**options, **COMMON}[name]]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(said) - 1))
        if said[at] == "@out" or (command == "demo" and at == 1):
            continue  # what is written stays in its place
        word = draw(
            st.one_of(
                st.sampled_from(TEXTS),
                st.sampled_from(NUMBERS).map(str),
                st.text(max_size=8),
                st.sampled_from(
                    ("has=nan", "has=1e999", "=1", "x=1", "has,has", ",", "99GB", "-5")
                ),
            )
        )
        how = draw(st.integers(0, 3))
        said[at : at + (how != 1)] = [word] if how else []
        if not said:
            break
    said += draw(st.sampled_from(([], ["--json"])))
    found = (str(corpus[each[1:]]) if each.startswith("@") else each for each in said)
    end = ("--workspace", str(corpus["work"]))
    return Input("arguments", tuple(each.replace("\x00", "") for each in (*found, *end)))


DOORS: Mapping[str, Callable[[Corpus], Inputs]] = {
    "study": studies,
    "recipe": recipes,
    "merge": merges,
    "model": models,
    "data": data,
    "table": tables,
    "workspace": workspaces,
    "arguments": arguments,
    "app": app_doors.pages,
    "serve": serve_door.bodies,
}
"""What runs without a model, or with one that stays. `loaded` comes beside them, rarely."""


def inputs(corpus: Corpus) -> Inputs:
    """Any door, each as often as the others; the models, which have most files, three times."""
    made = {name: make(corpus) for name, make in DOORS.items()}
    turns = [*[*made, "model", "model"] * 3, "loaded"]
    made["loaded"] = loaded(corpus)
    return st.sampled_from(turns).flatmap(made.__getitem__)
