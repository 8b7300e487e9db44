"""Options, and those of sweep and of the commands that take in what others say: external, judge."""

from __future__ import annotations

from typing import Any

import click

from engine.commands.arguments import chance, count, named, number, pair
from engine.search.strategies import STRATEGIES, SURROGATES


class Several(click.Option):
    """An option with as many values as follow it."""

    def __init__(self, name: str, *, metavar: str, **settings: Any) -> None:
        super().__init__([name], multiple=True, metavar=f"{metavar} …", **settings)


def option(name: str, help: str, **settings: Any) -> click.Option:
    shown = settings.get("default") not in (None, False) and "is_flag" not in settings
    return click.Option([name], help=help, show_default=shown, **settings)


def importing() -> list[click.Parameter]:
    """What `external` takes beside the study."""
    return [
        click.Argument(["file"], metavar="[FILE …]", nargs=-1),
        Several("--as", metavar="objective=value", type=named,
                help="What an objective's score is called in the files: lm-eval's task:metric, or "
                "a column. Default: the objective's name."),
        Several("--direction", metavar="objective=max", type=named,
                help="max or min, where an lm-eval file does not say which is better."),
        option("--name", "Name of the model. Default: as in the file.", metavar="TEXT"),
        Several("--remove", metavar="ID", help="External points to take off the study."),
    ]  # fmt: skip


def judging() -> list[click.Parameter]:
    """What `judge` takes beside the study and its recipes."""
    return [
        option("--endpoint", "URL, as far as /chat/completions.", required=True, metavar="URL"),
        option("--model", "Model of the endpoint.", required=True, metavar="MODEL"),
        option("--objective", "Objective whose rows are asked. Default: the first with data.",
               metavar="NAME"),
        Several("--prompt", metavar="TEXT", help="Prompts to ask instead of an objective's rows."),
        option("--limit", "Ask this many prompts at most.", type=count, metavar="N"),
        option("--key-variable", "Environment variable with the endpoint's key; it is never "
               "stored.", default="PARETOSCOPE_JUDGE_KEY", metavar="NAME"),
        option("--timeout", "Seconds to wait for one answer.", type=number, default=60.0,
               metavar="S"),
        option("--max-tokens", "Largest answer of the judge, its thinking included.", type=count,
               default=512, metavar="N"),
        option("--yes", "Accept the cost without being asked.", is_flag=True),
    ]  # fmt: skip


def searching() -> list[click.Parameter]:
    """How `sweep` places its points, and what a search takes."""
    strategies = "; ".join(f"{name}: {each.summary}" for name, each in STRATEGIES.items())
    surrogates = "; ".join(f"{name}: {words}" for name, words in SURROGATES.items())
    limit: dict[str, Any] = {"type": pair, "metavar": "name=value"}
    return [
        option("--strategy", f"{strategies}.", type=click.Choice(tuple(STRATEGIES)),
               default="sobol"),
        option("--surrogate", f"What suggest predicts with. {surrogates}.",
               type=click.Choice(tuple(SURROGATES))),
        option("--until-still", "End a suggest before its points are spent, once the front stands "
               "still.", is_flag=True),
        Several("--weight", help="Weight of each objective for cmaes. Default: equal.", **limit),
        Several("--at-least", help="Lower bound for suggest, of an objective that is maximised.",
                **limit),
        Several("--at-most", help="Upper bound for suggest, of an objective that is minimised.",
                **limit),
        option("--race", "Score growing blocks of rows, and stop a point of a design once its "
               "probability of being on the front is below this. Stopped points are on no front; "
               "evaluate --point scores one to the end.", type=chance, metavar="P"),
    ]  # fmt: skip
