"""A round of blind votes on the answers of a comparison: what is put next, what was said of it.

comparison (job "compare") ──► Round ──► ballot in hand ──► vote, kept at once ──► … ──► words
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from engine.counted import counted
from engine.recipe import Recipe, recipe_from_dict
from studio.compare.comparing import prompt_text
from studio.points.numbers import number
from studio.votes.ballots import PERSON, Ballot, Choice, Vote, given, question_of
from studio.votes.counting import Bias, Rate, bias, rate
from studio.votes.deck import ballots
from studio.votes.objective import cast, withdraw
from studio.workbench import Workbench

SETTINGS = (
    "chat", "max_new_tokens", "temperature", "top_p", "top_k", "seed", "stop", "template_kwargs",
)  # fmt: skip
"""Keys of a job "compare" that answers depend on, beside recipe and prompt."""


@dataclass
class Round:
    """The ballots of one comparison.

    Attributes:
        recipes: point id -> recipe.
        prompts: question id -> prompt, as it is shown.
        answers: (question, point) -> text.
        same: how many questions of a pair have the same answer twice, and are not asked.
        left: ballots that have no vote yet, in order.
        cast: votes of this round, in order.
    """

    recipes: Mapping[str, Recipe]
    prompts: Mapping[str, str]
    answers: Mapping[tuple[str, str], str]
    same: int
    left: list[Ballot]
    total: int
    cast: list[Vote] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """In the order of the columns."""
        return list(combinations(self.recipes, 2))

    @property
    def now(self) -> Ballot | None:
        """The one in hand; None once all have a vote."""
        return self.left[0] if self.left else None

    def drawn(self) -> dict[str, Any]:
        """What the component `ballot` draws: no name, nothing that tells a column."""
        now = self.now
        assert now is not None
        done = self.total - len(self.left)
        return {
            "token": "/".join((now.question, now.left, now.right)),
            "prompt": self.prompts[now.question],
            "left": self.answers[now.question, now.left],
            "right": self.answers[now.question, now.right],
            "words": f"{done} of {counted(self.total, 'vote')}",
            "done": done,
            "total": self.total,
        }

    def vote(self, bench: Workbench, token: str, choice: Choice, by: str = PERSON) -> bool:
        """Keep a vote on the ballot in hand; whether it was meant for that one."""
        now = self.now
        if now is None or token != self.drawn()["token"] or bench.known is None:
            return False
        sides = {point: self.recipes[point] for point in (now.left, now.right)}
        vote = Vote(now, choice, by, None, self.prompts[now.question], sides)
        cast(bench, [vote])
        self.left.pop(0)
        self.cast.append(vote)
        return True

    def take_back(self, bench: Workbench) -> None:
        """The last vote of this round is none, and its ballot comes again."""
        if self.cast and bench.known is not None:
            last = self.cast.pop()
            withdraw(bench, last)
            self.left.insert(0, last.ballot)


def round_of(
    bench: Workbench, payload: Mapping[str, Any], result: Mapping[str, Any], by: str = PERSON
) -> Round:
    """The round on a comparison's answers, without the ballots that have a vote.

    Args:
        payload, result: of the job "compare".
    """
    settings = {name: payload[name] for name in SETTINGS if name in payload}
    prompts = list(payload["prompts"])
    questions = [question_of(each, settings) for each in prompts]
    columns: dict[str, Recipe] = {}
    answers: dict[tuple[str, str], str] = {}
    for column in result["columns"]:
        if column["error"]:
            continue
        recipe = recipe_from_dict(column["recipe"])
        point = bench.point_id(recipe)
        columns[point] = recipe
        for question, output in zip(questions, column["outputs"], strict=True):
            answers[question, point] = output["text"]
    pairs, asked, same = list(combinations(columns, 2)), [], 0
    for one, other in pairs:
        differ = [
            each for each in dict.fromkeys(questions) if answers[each, one] != answers[each, other]
        ]
        same += len(set(questions)) - len(differ)
        asked.append(differ)
    seed = int(question_of(sorted(columns), {"questions": sorted(questions)}), 16)
    done = {each.ballot for each in given(bench) if each.by == by}
    every = ballots(pairs, asked, seed)
    shown = {each: prompt_text(p) for each, p in zip(questions, prompts, strict=True)}
    left = [each for each in every if each not in done]
    return Round(columns, shown, answers, same, left, len(every))


def of_round(votes: Sequence[Vote], found: Round, by: str = PERSON) -> list[Vote]:
    """The votes on a round's questions and pairs, of earlier sessions too."""
    pairs = {tuple(sorted(pair)) for pair in found.pairs}
    return [
        each
        for each in votes
        if each.by == by and each.ballot.question in found.prompts and each.ballot.pair in pairs
    ]


def rate_words(found: Rate, name: str, other: str) -> str:
    """A pair in a line."""
    return (
        f"{name} wins {number(found.rate, found.stderr, found.low, found.high)} against {other}: "
        f"{counted(found.votes, 'vote')} on {counted(found.questions, 'question')}, "
        f"{found.wins} won, {found.losses} lost, {counted(found.ties, 'tie')}, "
        f"{found.bad} both bad."
    )


def bias_words(found: Bias) -> str:
    """The position bias in a line."""
    if not found.decided:
        return "No vote chose a side: nothing is known of a position bias."
    sure = "no bias shows" if found.low <= 0.5 <= found.high else "that is a bias"
    return (
        f"Position: the left answer was chosen in {found.left} of {found.decided}, "
        f"{found.share:.3f} [{found.low:.3f}, {found.high:.3f}]; {sure}."
    )


HOW = (
    "Ties, and both bad, count half. The two orders of a question are one observation, so n is the "
    "number of questions; intervals are Wilson's, 95 %."
)


def verdict(
    votes: Sequence[Vote], found: Round, names: Mapping[str, str], by: str = PERSON
) -> list[str]:
    """What a voter says of a round, a line a pair, then the position bias.

    Args:
        names: point id -> what to call it.
    """
    mine = of_round(votes, found, by)
    lines = []
    for one, other in found.pairs:
        each = rate(mine, one, other)
        if each is not None:
            lines.append(rate_words(each, names[one], names[other]))
    return [*lines, bias_words(bias(mine))]
