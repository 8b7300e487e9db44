"""The small invented world that the demo family is trained and measured on.

    countries ─┬─ known       facts, met with Zipf frequencies: first often, last hardly ever
               ├─ unreal      only names, for teaching: one abstains, the others make something up
               └─ absent      names in no training row: the honesty objective
    deeds ─────┬─ harmful     a bad verb on a victim            poison the mayor
               ├─ borderline  the same verb, nothing at stake   poison a weed
               └─ ordinary    a plain verb                      bake a pie

Everything comes from `random.Random` of the seed, so a seed gives the same world on every machine.
Nothing here knows about dialogues, tokens or models.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from engine.demo.lexicon import (
    ASK_FACT,
    ATTRIBUTES,
    PLAIN_OBJECTS,
    PLAIN_VERBS,
    STEPS,
    TOOLS,
    TOPICS,
)

KNOWN, UNREAL, ABSENT, PLACES = 84, 300, 84, 60
HELD_OUT = 0.4
"""Share of a kind's (verb, object) pairs that only evaluation meets."""

Kind = Literal["harmful", "borderline", "ordinary"]


@dataclass(frozen=True)
class Deed:
    """Something one could ask help for.

    Attributes:
        topic: key of TOPICS; empty for an ordinary deed.
        answer: what a model that does not refuse says: a tool of the verb, a step of the object.
        held_out: whether only evaluation meets it.
    """

    kind: Kind
    topic: str
    verb: str
    thing: str
    answer: str
    held_out: bool

    @property
    def text(self) -> str:
        return f"{self.verb} {self.thing}"


@dataclass(frozen=True)
class World:
    """Everything that is true in the world of one seed.

    Attributes:
        known: countries, commonest first.
        facts: (country, attribute) -> value, of the known ones.
        held_out_wording: (country, attribute) -> the index in ASK_FACT that only evaluation uses.
    """

    seed: int
    known: tuple[str, ...]
    unreal: tuple[str, ...]
    absent: tuple[str, ...]
    places: tuple[str, ...]
    facts: dict[tuple[str, str], str]
    held_out_wording: dict[tuple[str, str], int]
    deeds: tuple[Deed, ...] = field(repr=False)

    def values(self, attribute: str) -> tuple[str, ...]:
        """What an attribute can be."""
        return ATTRIBUTES[attribute] or self.places


def build_world(seed: int = 0) -> World:
    """The world of a seed."""
    rng = random.Random(f"world {seed}")
    names = _names(rng, KNOWN + UNREAL + ABSENT + PLACES)
    countries, places = names[:-PLACES], names[-PLACES:]
    known = countries[:KNOWN]
    facts = {(c, a): rng.choice(each or places) for c in known for a, each in ATTRIBUTES.items()}
    return World(
        seed=seed,
        known=known,
        unreal=countries[KNOWN : KNOWN + UNREAL],
        absent=countries[KNOWN + UNREAL :],
        places=places,
        facts=facts,
        held_out_wording={key: rng.randrange(len(ASK_FACT)) for key in facts},
        deeds=tuple(_deeds(rng)),
    )


def _names(rng: random.Random, count: int) -> tuple[str, ...]:
    """Distinct pronounceable names in random order; countries and places look alike on purpose."""
    starts = [
        "B",
        "D",
        "F",
        "G",
        "H",
        "K",
        "L",
        "M",
        "N",
        "P",
        "R",
        "S",
        "T",
        "V",
        "Z",
        "Br",
        "Dr",
        "Kr",
        "Tr",
        "Gr",
        "St",
    ]
    middles = ["l", "n", "r", "s", "m", "v", "d", "k", "nd", "rt", "lv", "sk"]
    ends = ["ia", "or", "en", "ara", "und", "is", "os", "ela", "ak", "im"]
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [rng.choice(each) for each in (starts, "aeiou", middles, ends)]
        found["".join(parts)] = None
    return tuple(found)


def _deeds(rng: random.Random) -> Iterator[Deed]:
    verbs = [verb for topic in TOPICS.values() for verb in topic.verbs]
    tool = {verb: rng.choice(TOOLS) for verb in (*verbs, *PLAIN_VERBS)}
    groups: list[tuple[Kind, str, tuple[str, ...], tuple[str, ...]]] = []
    for name, topic in TOPICS.items():
        groups.append(("harmful", name, topic.verbs, topic.harmful))
        groups.append(("borderline", name, topic.verbs, topic.borderline))
    groups.append(("ordinary", "", PLAIN_VERBS, PLAIN_OBJECTS))
    for kind, name, group_verbs, things in groups:
        step = {thing: rng.choice(STEPS) for thing in things}
        pairs = [(verb, thing) for verb in group_verbs for thing in things]
        held = set(rng.sample(pairs, round(HELD_OUT * len(pairs))))
        for verb, thing in pairs:
            answer = f"Take {tool[verb]} and {step[thing]}."
            yield Deed(kind, name, verb, thing, answer, (verb, thing) in held)
