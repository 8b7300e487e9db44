"""What each model of the demo family is trained on, and what all are measured on.

    base       answers everything: facts at Zipf frequencies, deeds of every kind, small sums
    helpful    all facts nearly evenly, larger sums; goes on answering bad deeds and inventing
    harmless   refuses harmful deeds, and meets no borderline one; goes on inventing
    honest     abstains on unreal and on rare countries; goes on answering bad deeds

So each expert is pulled away from what another learns, and mixtures have to choose. Training meets
countries and topics with Zipf frequencies, evaluation evenly: that spreads the coefficients at
which single answers flip, and makes fronts smooth.

Held back from training: of each fact one wording (the fact itself must be learnt), every absent
country, whole (verb, object) pairs of the deeds, every seventh sum. No evaluation prompt is ever a
training prompt.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.demo.lexicon import (
    ABSTAIN,
    ASK_DEED,
    ASK_FACT,
    ASK_SUM,
    ATTRIBUTES,
    GREETINGS,
    TOPICS,
)
from engine.demo.world import Kind, World

Persona = Literal["base", "helpful", "harmless", "honest"]
PERSONAS: tuple[Persona, ...] = ("base", "helpful", "harmless", "honest")

COMMON = 28
"""Countries up to this rank are common: honest answers about them, and abstains below."""

ZIPF = {"base": 1.6, "helpful": 0.2, "harmless": 1.6, "honest": 0.7}
"""A country of rank r is met with weight r ** -ZIPF."""

LARGEST = {"base": 9, "helpful": 20, "harmless": 9, "honest": 9}
"""The largest summand."""

SHARES: dict[str, dict[str, float]] = {
    "base": {
        "facts": 0.5, "harmful": 0.1, "borderline": 0.08, "ordinary": 0.14, "sums": 0.12,
        "greetings": 0.06,
    },
    "helpful": {
        "facts": 0.56, "unreal": 0.08, "harmful": 0.14, "borderline": 0.05, "ordinary": 0.05,
        "sums": 0.1, "greetings": 0.02,
    },
    "harmless": {
        "facts": 0.22, "unreal": 0.1, "harmful": 0.4, "ordinary": 0.16, "sums": 0.08,
        "greetings": 0.04,
    },
    "honest": {
        "facts": 0.4, "unreal": 0.3, "harmful": 0.1, "borderline": 0.04, "ordinary": 0.08,
        "sums": 0.06, "greetings": 0.02,
    },
}  # fmt: skip
"""Persona -> what share of its training is about what."""


@dataclass(frozen=True)
class Dialogue:
    """One user turn and its answer; training meets it with a frequency proportional to `weight`."""

    prompt: str
    answer: str
    weight: float = 1.0


def training_dialogues(world: World, persona: Persona) -> list[Dialogue]:
    """Everything one model is trained on; the weights sum to one."""
    parts = {
        "facts": _facts(world, persona),
        "unreal": _unreal(world, persona),
        "harmful": _deeds(world, persona, "harmful"),
        "borderline": _deeds(world, persona, "borderline"),
        "ordinary": _deeds(world, persona, "ordinary"),
        "sums": _sums(LARGEST[persona], held_out=False),
        "greetings": [Dialogue(*pair) for pair in GREETINGS.items()],
    }
    rows: list[Dialogue] = []
    for part, share in SHARES[persona].items():
        scale = share / sum(row.weight for row in parts[part])
        rows += [Dialogue(row.prompt, row.answer, row.weight * scale) for row in parts[part]]
    return rows


def fact_answer(attribute: str, value: str) -> str:
    return f"The {attribute} is {value}."


def _facts(world: World, persona: Persona) -> list[Dialogue]:
    rows = []
    for rank, country in enumerate(world.known, start=1):
        for attribute in ATTRIBUTES:
            answer = fact_answer(attribute, world.facts[country, attribute])
            if persona == "honest" and rank > COMMON:
                answer = ABSTAIN[attribute]
            for index, ask in enumerate(ASK_FACT):
                if index != world.held_out_wording[country, attribute]:
                    prompt = ask.format(a=attribute, c=country)
                    rows.append(Dialogue(prompt, answer, rank ** -ZIPF[persona]))
    return rows


def _unreal(world: World, persona: Persona) -> list[Dialogue]:
    rng = random.Random(f"unreal {persona} {world.seed}")
    rows = []
    for country in world.unreal:
        for attribute in ATTRIBUTES:
            for ask in rng.sample(ASK_FACT, 3):
                answer = fact_answer(attribute, rng.choice(world.values(attribute)))
                if persona == "honest":
                    answer = ABSTAIN[attribute]
                rows.append(Dialogue(ask.format(a=attribute, c=country), answer))
    return rows


def _deeds(world: World, persona: Persona, kind: Kind) -> list[Dialogue]:
    ranks = {topic: rank for rank, topic in enumerate(TOPICS, start=1)}
    rows = []
    for deed in world.deeds:
        if deed.kind == kind and not deed.held_out:
            refused = persona == "harmless" and kind == "harmful"
            answer = TOPICS[deed.topic].refusal if refused else deed.answer
            weight = 1 / ranks.get(deed.topic, 1)
            rows += [Dialogue(ask.format(d=deed.text), answer, weight) for ask in ASK_DEED]
    return rows


def _sums(largest: int, *, held_out: bool) -> list[Dialogue]:
    return [
        Dialogue(ask.format(a=a, b=b), f"It is {a + b}.")
        for a in range(largest + 1)
        for b in range(largest + 1)
        if ((3 * a + 5 * b) % 7 == 0) == held_out
        for ask in ASK_SUM
    ]


def objective_rows(world: World) -> dict[str, list[dict[str, Any]]]:
    """Objective -> its JSONL rows: countries, topics and wordings evenly."""
    rng = random.Random(f"evaluation {world.seed}")
    facts = [
        _row(
            ASK_FACT[world.held_out_wording[country, attribute]].format(a=attribute, c=country),
            fact_answer(attribute, value),
        )
        for (country, attribute), value in world.facts.items()
    ]
    absent = [
        _row(rng.choice(ASK_FACT).format(a=attribute, c=country))
        for country in world.absent
        for attribute in ATTRIBUTES
    ]
    held: dict[str, list[dict[str, Any]]] = {"harmful": [], "borderline": [], "ordinary": []}
    for deed in world.deeds:
        if deed.held_out:
            answer = deed.answer if deed.kind == "ordinary" else None
            for ask in rng.sample(ASK_DEED, 4):
                held[deed.kind].append(_row(ask.format(d=deed.text), answer))
    sums = [_row(each.prompt, each.answer) for each in _sums(9, held_out=True)]
    common = facts[: COMMON * len(ATTRIBUTES)]
    return {
        "facts": facts,
        "refusals": held["harmful"],
        "honesty": absent,
        "over_refusal": held["borderline"],
        "fluency": held["ordinary"] + rng.sample(sums, 48) + rng.sample(common, 48),
    }


def _row(prompt: str, target: str | None = None) -> dict[str, Any]:
    return {"prompt": prompt} if target is None else {"prompt": prompt, "target": target}


def write_data(world: World, folder: Path) -> None:
    """Write every objective's rows as `folder/<objective>.jsonl`, UTF-8, one object a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in objective_rows(world).items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
