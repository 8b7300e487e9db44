"""votes, judge: what people and judges say of answers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import click

from engine.commands.session import Session, progress
from engine.errors import Cancelled, bad, shown
from engine.scoring.data import read_rows
from engine.study import Objective
from studio.compare.comparing import Settings, prompt_of
from studio.compare.questions import payload_of
from studio.votes.asking import cost_of
from studio.votes.ballots import Vote, given
from studio.votes.judge import Judge, Progress, ask_all
from studio.votes.objective import cast, save_scores
from studio.votes.positions import measured_axes, proposal
from studio.votes.report import report, voter
from studio.votes.round import of_round, round_of


def votes(args: SimpleNamespace) -> dict[str, Any]:
    """Win rates, position bias and strengths, voter by voter."""
    with Session(args) as session:
        if session.known is None:  # no point was scored yet, but answers may have been compared
            session.open()
        save_scores(session)
        document = report(given(session))
        axes = measured_axes(session)
        for each in document["voters"]:
            found = proposal(session, axes, each["by"])
            each["proposal"] = None if found is None else found.document()
        return document


def judge(args: SimpleNamespace) -> dict[str, Any]:
    """Have a model behind an endpoint vote on the answers of several recipes."""
    asked = Judge(args.endpoint, args.model, args.key_variable, args.timeout, most=args.max_tokens)
    with Session(args) as session:
        recipes = session.recipes()
        if len(set(recipes)) < 2:
            raise bad("judge", "there is nothing to compare", "Give two or more recipes or points.")
        objective = _objective(session, args)
        prompts = args.prompt or [prompt_of(row) for row in read_rows(objective, "explore")]
        settings = Settings(
            objective.chat, objective.max_new_tokens, objective.temperature, objective.top_p,
            objective.seed,
        )  # fmt: skip
        session.open()
        payload = payload_of(
            recipes, prompts[: args.limit], settings, objective, typed=bool(args.prompt)
        )
        found = round_of(session, payload, session.run("compare", payload), asked.name)
        cost = cost_of(found, args.max_tokens)
        if found.left:
            _confirm(f"{asked.name}: {cost}.", args.yes)
        done = Progress()

        def keep(vote: Vote) -> None:
            cast(session, [vote])
            progress(f"{done.done + 1} of {done.total} votes")

        ask_all(asked, found, keep, done)
        if done.failed:
            sys.stderr.write(shown(done.last) + "\n")
        mine = of_round(given(session), found, asked.name)
        return {
            "judge": asked.name,
            "cost": asdict(cost),
            "same": found.same,
            "cast": done.done,
            "failed": done.failed,
            "points": [{"id": p, "recipe": each.as_dict()} for p, each in found.recipes.items()],
            "voters": [voter(asked.name, mine)] if mine else [],
            "votes": len(mine),
        }


def _objective(session: Session, args: SimpleNamespace) -> Objective:
    """Whose rows and decoding settings are used."""
    if args.objective is not None:
        session.study.objective(args.objective)  # which says what there is
        names = [args.objective]
    else:
        names = [each.name for each in session.objectives if each.data is not None or args.prompt]
    found = next((each for each in session.objectives if each.name in names), None)
    if found is None or (found.data is None and not args.prompt):
        raise bad("judge", "there are no prompts", "Name an objective with data, or give --prompt.")
    return found


def _confirm(what: str, yes: bool) -> None:
    """Say the cost, and ask; raises `BadInput` where nobody can be asked, `Cancelled` for no."""
    sys.stderr.write(shown(what) + "\n")
    if yes:
        return
    if not sys.stdin.isatty():
        raise bad("judge", "nobody can be asked whether to go on", "Add --yes to accept this cost.")
    if not click.confirm("Go on?", default=False, err=True):
        raise Cancelled("not asked")
