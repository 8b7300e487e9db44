from __future__ import annotations

from pathlib import Path

from engine.family.tokenizer import TokenizerFiles
from engine.family.vocabulary import ExtraRows, combine_rows, token_problems


def test_equal_rows() -> None:
    plan = combine_rows({"base": 8, "a": 8, "b": 8})
    assert (plan.common, plan.merged, plan.extra) == (8, 8, ())


def test_rows_of_one_expert() -> None:
    plan = combine_rows({"base": 8, "a": 8, "b": 11})
    assert (plan.common, plan.merged, plan.extra) == (8, 11, (ExtraRows(8, 11, "b"),))


def test_first_in_family_order_supplies_what_it_has() -> None:
    plan = combine_rows({"base": 8, "a": 10, "b": 9, "c": 12})
    assert plan.extra == (ExtraRows(8, 10, "a"), ExtraRows(10, 12, "c"))


def test_base_with_more_rows_than_its_experts() -> None:
    plan = combine_rows({"base": 8, "a": 6})
    assert (plan.common, plan.merged, plan.extra) == (8, 8, ())


def test_experts_are_compared_with_each_other() -> None:
    tokenizers = {
        "base": TokenizerFiles(Path("base"), {0: "x"}),
        "a": TokenizerFiles(Path("a"), {0: "x", 1: "<tool>"}),
        "b": TokenizerFiles(Path("b"), {0: "x", 1: "<call>"}),
        "c": TokenizerFiles(Path("c"), {0: "y", 1: "<tool>"}),
    }
    first, second = token_problems(tokenizers)
    assert "id 1 is the token '<tool>' in a and '<call>' in b" in str(first)
    assert "id 0 is the token 'x' in base and 'y' in c" in str(second)
