"""The words of the command line: what an option takes, what is refused, and that help is text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import click
import pytest

from engine.__main__ import main
from engine.commands.line import NAME, build_app
from engine.search.strategies import STRATEGIES
from tests import headless

COMMANDS = (
    "merge", "generate", "evaluate", "predict", "rows", "references", "sweep", "best", "front",
    "recommend", "export", "external", "votes", "judge", "serve", "check", "demo",
)  # fmt: skip


def said(*words: str) -> SimpleNamespace:
    """What a command is given of its words."""
    found: list[SimpleNamespace] = []

    def run(_: str, args: SimpleNamespace) -> int:
        found.append(args)
        return 0

    app = build_app(run)
    with app.make_context(NAME, list(words)) as context:
        assert app.invoke(context) == 0
    return found[0]


def test_recipes_and_points_keep_the_order_in_which_they_are_given() -> None:
    args = said(
        "evaluate", "--objectives", "a, b", "study", "--point", "p1", "--recipe", "r1", "r2",
        "--json", "--point=p2", "p3", "--recipe=r3",
    )  # fmt: skip
    assert args.wanted == [
        ("point", "p1"), ("recipe", "r1"), ("recipe", "r2"), ("point", "p2"), ("point", "p3"),
        ("recipe", "r3"),
    ]  # fmt: skip
    assert (args.study, args.objectives, args.json) == ("study", ["a", "b"], True)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("generate", "s", "--prompt", "a", "-5", "--prompt=c", "d e", "--chat"), "prompt",
         ["a", "-5", "c", "d e"]),
        (("generate", "s", "--prompt", "--seed", "--stop", "x", "y"), "stop", ["x", "y"]),
        (("sweep", "s", "--points", "3", "--method", "pcb", "linear", "--seed", "2"), "method",
         ["pcb", "linear"]),
        (("recommend", "s", "--weight", "a=1", "b=-2", "--at-least", "a=-0.5"), "at_least",
         [("a", -0.5)]),
        (("front", "s", "--reference", "-1,2"), "reference", [-1.0, 2.0]),
        (("front", "--reference=-1,2"), "study", None),
        (("export", "s", "--recipe", "r", "out"), "out", "out"),
        (("generate", "--recipe", "r", "s", "--prompt", "a"), "study", "s"),
    ],
)  # fmt: skip
def test_an_option_takes_what_follows_it(words: tuple[str, ...], name: str, value: Any) -> None:
    found = getattr(said(*words), name)
    assert (list(found) if isinstance(found, tuple) else found) == value


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("sweep", "s", "--method", "pcb", "--points", "0"), ("--points", "1 or more")),
        (("sweep", "s", "--method", "pcb", "--points", "3", "--strategy", "anneal"), ("sobol",)),
        (("sweep", "s", "--method", "pcb", "--points", "3", "--executor", "ray"), ("inline",)),
        (("sweep", "s", "--method", "pcb", "--points", "-3"), ("--points", "1 or more, got -3")),
        (("generate", "s", "--prompt", "a", "--seed", "-1"), ("--seed", "0 or more, got -1")),
        (("generate", "s", "--prompt", "a", "--seed", str(1 << 62)), ("--seed", "too large")),
        (("front", "s", "--objectives", ","), ("--objectives", "no name")),
        (("generate", "s", "--prompt", "a", "--top-p", "nan"), ("--top-p", "finite")),
        (("generate", "s", "--prompt"), ("--prompt", "argument")),
        (("front", "--objective", "a"), ("--objective", "--objectives")),
        (("front", "a", "b"), ("unexpected", "b")),
        (("chek",), ("chek", "check")),
        (("merge",), ("CONFIG",)),
        ((), ("recommend", "sweep")),
        (("sweep", "s", "--method", "\x1b[2J"), ("--points",)),
    ],
)
def test_words_that_cannot_be_are_told_in_one_message(
    words: tuple[str, ...], names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("Usage: python -m engine") and "\x1b" not in err
    assert all(each in err for each in names), err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain_text_that_explains_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert not set("─│╭╮\x1b") & set(out) and max(map(len, out.splitlines())) <= 80
    app = build_app(lambda *_: 0)
    assert tuple(sorted(app.commands)) == tuple(sorted(COMMANDS))
    options = [each for each in app.commands[command].params if isinstance(each, click.Option)]
    assert all(each.help and each.opts[0] in out for each in options)


def test_what_is_offered_works_and_nothing_else_is_offered() -> None:
    params = {each.name: each for each in build_app(lambda *_: 0).commands["sweep"].params}
    choices = {
        name: tuple(each.type.choices)
        for name, each in params.items()
        if isinstance(each.type, click.Choice)
    }
    assert choices == {
        "strategy": tuple(STRATEGIES),
        "surrogate": ("quadratic", "gp"),
        "executor": ("local", "inline"),
    }
    assert params["strategy"].default == "sobol"


def test_a_command_of_a_study_that_is_not_there(tmp_path: Any) -> None:
    ran = headless.run(tmp_path, "front", tmp_path / "gone.yaml")
    assert (ran.code, ran.out) == (2, "") and "gone.yaml" in ran.err
