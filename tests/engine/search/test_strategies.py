"""Every strategy has a sentence, is offered by the command, and is explained in the guide."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from engine.commands.line import build_app
from engine.search.strategies import STRATEGIES, SURROGATES, is_search

GUIDE = (Path(__file__).parents[3] / "docs" / "guide.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_has_a_sentence_and_stands_in_the_guide(name: str) -> None:
    summary = STRATEGIES[name].summary
    assert len(summary.split()) > 3 and not summary.endswith(".")
    assert len(f"{name}: {summary}") <= 56  # what the form's list has room for at 1280 pixels
    assert f"`{name}`" in GUIDE


def test_the_command_says_what_each_does() -> None:
    params = {each.name: each for each in build_app(lambda *_: 0).commands["sweep"].params}
    for option, words in (
        ("strategy", {name: each.summary for name, each in STRATEGIES.items()}),
        ("surrogate", SURROGATES),
    ):
        found = params[option]
        assert isinstance(found, click.Option) and found.help is not None
        assert all(f"{name}: {text}" in found.help for name, text in words.items())


def test_a_retry_of_failed_points_is_no_search() -> None:
    assert [is_search(each) for each in ("sobol", "grid", "again")] == [False] * 3
    assert is_search("suggest") and is_search("cmaes")
