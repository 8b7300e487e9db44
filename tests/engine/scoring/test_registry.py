from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

import engine.scoring
from engine.errors import BadInput
from engine.parameter import Says
from engine.scoring.refusal_phrases import REFUSALS
from engine.scoring.registry import SCORERS, check_objective, find_scorer, scorer
from engine.study import Objective

DATA = Path("facts.jsonl")


def objective(scorer: str = "exact_match", **keys: Any) -> Objective:
    options = keys.pop("options", {})
    return Objective("facts", scorer, keys.pop("data", DATA), options=options, **keys)


def test_every_scorer_of_the_interface_is_registered() -> None:
    assert engine.scoring
    assert set(SCORERS) == {
        "exact_match", "contains", "regex", "refusal", "choice", "nll", "perplexity", "kl_to_base",
        "strength", "cost", "length", "distinct_n", "self_bleu", "ece", "abstention",
        "kl_to", "tamper", "bits", "votes", "combination",
    }  # fmt: skip


def test_the_registry_and_the_checks_need_no_torch() -> None:
    code = (
        "import sys, engine.scoring, engine.scoring.objectives, engine.scoring.scores;"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("exact_match", "maximize"), ("contains", "maximize"), ("refusal", "maximize"),
        ("choice", "maximize"), ("nll", "minimize"), ("perplexity", "minimize"),
        ("kl_to_base", "minimize"), ("strength", "minimize"), ("length", "minimize"),
        ("distinct_n", "maximize"), ("ece", "minimize"), ("abstention", "maximize"),
    ],
)  # fmt: skip
def test_the_direction_is_the_scorers_own_unless_given(name: str, direction: str) -> None:
    assert check_objective(objective(name)).direction == direction
    other = "minimize" if direction == "maximize" else "maximize"
    assert check_objective(objective(name, direction=other)).direction == other


def test_defaults_are_filled_in_and_checking_twice_changes_nothing() -> None:
    checked = check_objective(objective("refusal"))
    assert checked.options == {"phrases": REFUSALS, "classifier": None, "label": None}
    assert check_objective(checked) == checked
    assert check_objective(objective(options={"ignore_case": True})).options["ignore_case"] is True
    found = check_objective(objective("choice")).options
    assert found == {"normalize": "none", "delimiter": None}
    assert check_objective(objective("nll", options={"delimiter": ""})).options["delimiter"] == ""
    single = check_objective(objective("refusal", options={"phrases": "No."}))
    assert single.options["phrases"] == ("No.",)
    hash(single)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"scorer": "exact_mach"}, "Did you mean exact_match?"),
        ({"options": {"ignore_cas": True}}, "Did you mean ignore_case?"),
        ({"options": {"max_new_token": 3}}, "Did you mean max_new_tokens?"),
        ({"options": {"ignore_case": "yes"}}, "expected true or false"),
        ({"scorer": "choice", "options": {"normalize": "byte"}}, "Did you mean bytes?"),
        ({"scorer": "choice", "options": {"normalize": 3}}, "expected a string"),
        ({"scorer": "regex"}, "needs the option 'pattern'"),
        ({"scorer": "regex", "options": {"pattern": "(a"}}, "not a regular expression"),
        ({"scorer": "regex", "options": {"pattern": 7}}, "expected a string"),
        ({"scorer": "refusal", "options": {"phrases": []}}, "expected a list of non-blank strings"),
        ({"scorer": "refusal", "options": {"phrases": ["  "]}}, "non-blank strings"),
        (
            {"scorer": "refusal", "options": {"phrases": ["a", 1]}},
            "expected a list of non-blank strings",
        ),
        ({"data": None}, "needs data"),
        ({"scorer": "bits"}, "reads no data"),
        ({"scorer": "votes", "options": {"rival": "base"}}, "counted from votes and reads no data"),
        ({"scorer": "votes", "data": None}, "needs the option 'rival'"),
        ({"scorer": "tamper"}, "needs the option 'expert'"),
        ({"scorer": "tamper", "options": {"expert": "bad", "step": 2}}, "out of range"),
        ({"scorer": "self_bleu"}, "5 samples of a prompt are all the same without a temperature"),
        ({"scorer": "self_bleu", "options": {"samples": 1}}, "out of range"),
        ({"scorer": "distinct_n", "options": {"samples": 3}}, "Set temperature"),
        ({"scorer": "cost", "data": None, "report_data": DATA}, "for the report alone"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_objective(objective(**keys), "trio.yaml")
    assert said in str(caught.value)
    assert all(
        each.where.startswith("trio.yaml: objective facts") for each in caught.value.problems
    )


def test_all_problems_of_an_objective_come_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        check_objective(objective("regex", data=None, options={"patern": "a", "x": 1}))
    assert len(caught.value.problems) == 4


def test_cost_needs_no_data() -> None:
    assert check_objective(Objective("price", "cost")).direction == "minimize"


def test_options_of_a_kind_that_yaml_cannot_hold_are_refused_when_registered() -> None:
    def strange(text: str, row: Any, *, depth: Annotated[bytes, Says("Deep.")] = b"") -> float:
        return 0.0

    with pytest.raises(TypeError, match="depth"):
        scorer(
            kind="text", direction="maximize", mean="mean", needs="prompt", summary="s", unit="u"
        )(strange)
    assert "strange" not in SCORERS


def test_regex_needs_targets_only_for_a_group() -> None:
    regex = find_scorer("regex")
    assert regex.needs_of({"pattern": "a+"}) == "prompt"
    assert regex.needs_of({"pattern": "(a)+"}) == "target"
    assert regex.needs_of({"pattern": "(?:a)+"}) == "prompt"
