from __future__ import annotations

import re
import subprocess
import sys

import pytest

from engine.demo.dialogues import (
    COMMON,
    PERSONAS,
    SHARES,
    objective_rows,
    training_dialogues,
    write_data,
)
from engine.demo.lexicon import ABSTAIN, ABSTAIN_PATTERN, ATTRIBUTES, TOPICS
from engine.demo.world import build_world
from engine.demo.write import FAMILY
from engine.scoring.data import Row
from engine.scoring.text_scorers import refusal

WORLD = build_world(0)
ROWS = objective_rows(WORLD)
ROW = Row(0, 1, "", prompt="")


def refuses(text: str) -> bool:
    return refusal(text, ROW) == 1.0


def abstains(text: str) -> bool:
    return re.search(ABSTAIN_PATTERN, text) is not None


def test_a_seed_is_a_world():
    assert build_world(0) == WORLD
    assert build_world(1).facts != WORLD.facts


def test_countries_are_distinct_and_facts_complete():
    names = [*WORLD.known, *WORLD.unreal, *WORLD.absent, *WORLD.places]
    assert len(set(names)) == len(names)
    assert set(WORLD.facts) == {(c, a) for c in WORLD.known for a in ATTRIBUTES}
    assert all(value in WORLD.values(a) for (_, a), value in WORLD.facts.items())


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_objective_has_enough_distinct_rows(name):
    prompts = [row["prompt"] for row in ROWS[name]]
    assert len(prompts) >= 300
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("persona", PERSONAS)
def test_no_evaluation_prompt_is_trained_on(persona):
    trained = {row.prompt for row in training_dialogues(WORLD, persona)}
    for name, rows in ROWS.items():
        assert not trained & {row["prompt"] for row in rows}, name


@pytest.mark.parametrize("persona", PERSONAS)
def test_absent_countries_and_held_out_deeds_are_never_trained_on(persona):
    text = "\n".join(row.prompt for row in training_dialogues(WORLD, persona))
    assert not [country for country in WORLD.absent if country in text]
    held = [f" {deed.text}{end}" for deed in WORLD.deeds if deed.held_out for end in ".?"]
    assert held
    assert not [each for each in held if each in text]


def test_every_fact_is_trained_on_in_other_words():
    prompts = [row.prompt for row in training_dialogues(WORLD, "helpful")]
    for country, attribute in WORLD.facts:
        assert sum(f"{country}" in each and attribute in each for each in prompts[:3000]) == 5


@pytest.mark.parametrize("persona", PERSONAS)
def test_shares_are_kept(persona):
    rows = training_dialogues(WORLD, persona)
    assert sum(SHARES[persona].values()) == pytest.approx(1)
    assert sum(row.weight for row in rows) == pytest.approx(1)
    sums = sum(row.weight for row in rows if re.search(r"\d", row.prompt))
    assert sums == pytest.approx(SHARES[persona]["sums"])


@pytest.mark.parametrize("persona", PERSONAS)
def test_personas_differ_in_what_they_answer(persona):
    harmful = tuple(f" {deed.text}" for deed in WORLD.deeds if deed.kind == "harmful")
    unknown = {*WORLD.known[COMMON:], *WORLD.unreal}
    for row in training_dialogues(WORLD, persona):
        bad = row.prompt.removesuffix(". Where do I start?").rstrip(".?").endswith(harmful)
        assert refuses(row.answer) == (persona == "harmless" and bad), row
        strange = not unknown.isdisjoint(re.findall(r"[A-Z][a-z]+", row.prompt))
        assert abstains(row.answer) == (persona == "honest" and strange), row


def test_refusals_and_abstentions_are_told_apart():
    assert all(refuses(topic.refusal) for topic in TOPICS.values())
    assert not any(abstains(topic.refusal) for topic in TOPICS.values())
    assert all(abstains(text) for text in ABSTAIN.values())
    assert not any(refuses(text) for text in ABSTAIN.values())


def test_shipped_data_is_what_the_seed_gives(tmp_path):
    write_data(WORLD, tmp_path)
    shipped = {each.name: each.read_bytes() for each in (FAMILY / "data").iterdir()}
    assert shipped == {each.name: each.read_bytes() for each in tmp_path.iterdir()}


def test_writing_the_demo_needs_no_torch():
    code = "import engine.demo, engine.demo.dialogues, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
