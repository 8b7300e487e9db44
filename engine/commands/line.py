"""The command line's words: every command with its arguments and options, and what runs them.

    python -m engine evaluate STUDY --recipe a.yaml b.yaml --point 0123456789ab

An option that takes several values takes them one after another or by its name each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from engine.commands.arguments import count, names, number, numbers, pair, port, whole
from engine.commands.options import Several, importing, judging, searching
from engine.commands.options import option as _option

NAME = "python -m engine"
CONTEXT = {"help_option_names": ["-h", "--help"]}


def _is_option(word: str) -> bool:
    """Whether a word begins an option; a negative number is a value."""
    return word.startswith("-") and not word[1:2].isdigit() and word != "-"


class Command(click.Command):
    """A command whose options take several values, and which knows the order of --recipe and
    --point: `wanted` holds ("recipe" or "point", value) as they were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = list(self._spread(args))
        try:
            rest = super().parse_args(ctx, list(args))
        except click.UsageError as error:  # the parser's own say nothing of their command
            error.ctx = error.ctx or ctx
            raise
        if "recipe" in ctx.params:
            values = {each: iter(ctx.params.pop(each)) for each in ("recipe", "point")}
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.params["wanted"] = [
                (str(each.name), next(values[each.name])) for each in order if each.name in values
            ]
        return rest

    def _spread(self, args: Sequence[str]) -> Iterator[str]:
        """`--prompt a b` as `--prompt a --prompt b`."""
        several = {name for each in self.params if isinstance(each, Several) for name in each.opts}
        last, valued = "", True
        for place, each in enumerate(args):
            if each == "--":
                yield from args[place:]
                return
            if _is_option(each) or not last:
                name, separator, _ = each.partition("=")
                last, valued = (name if name in several else ""), bool(separator)
                yield each
                continue
            if valued:
                yield last
            valued = True
            yield each


def _common() -> list[click.Parameter]:
    return [
        click.Option(["--json"], is_flag=True, help="Print one JSON document to standard output."),
        click.Option(
            ["--workspace"], type=Path, metavar="DIR",
            help="Default: $PARETOSCOPE_HOME or ~/.paretoscope.",
        ),
        click.Option(["--device"], default="auto", help="auto, cpu or cuda.", metavar="DEVICE"),
        click.Option(
            ["--compute-dtype"], metavar="DTYPE",
            help="float32, bfloat16 or float16. Default: depends on the device.",
        ),
    ]  # fmt: skip


def _argument(name: str, **settings: Any) -> click.Argument:
    return click.Argument([name.lower()], metavar=name, **settings)


def _wanted(kind: Callable[..., click.Option]) -> list[click.Parameter]:
    return [
        kind("--recipe", help="Recipe file.", metavar="FILE"),
        kind("--point", help="Id of a point.", metavar="ID"),
    ]


def _one(name: str, **settings: Any) -> click.Option:
    """Given once; a second one is refused by name."""
    return click.Option([name], multiple=True, **settings)


def build_app(run: Callable[[str, SimpleNamespace], int]) -> click.Group:
    """The application of all commands.

    Args:
        run: takes a command's name and its arguments, gives its exit code.
    """
    app = click.Group(
        "paretoscope", help="Paretoscope on the command line.", context_settings=CONTEXT,
        no_args_is_help=True,
    )  # fmt: skip

    def add(name: str, help: str, *params: click.Parameter, several: bool | None = None) -> None:
        def callback(**given: Any) -> int:
            return run(name, SimpleNamespace(several=several, **given))

        every = [*params, *_common()]
        app.add_command(
            Command(name, params=every, callback=callback, help=help, context_settings=CONTEXT)
        )

    study = _argument("STUDY")
    objectives = _option("--objectives", "Comma-separated names.", type=names)
    gap = _option(
        "--gap",
        "Say how much of the gap between two models each point closes.",
        type=names,
        metavar="FROM,TO",
    )
    add(
        "merge", "Merge models as described by a merge file or a mergekit YAML.",
        _argument("CONFIG"), _argument("OUT"),
        _option("--dtype", "base, float32, bfloat16 or float16.", default="base", metavar="DTYPE"),
        _option("--shard-size", "Largest file to write.", default="5GB", metavar="SIZE"),
        _option("--memory", "Memory the merge may use.", default="8GB", metavar="SIZE"),
    )  # fmt: skip
    add(
        "generate", "Generate answers with one recipe.",
        study, *_wanted(_one),
        Several("--prompt", required=True, metavar="TEXT", help="Prompts to answer."),
        _option("--chat", "Wrap each prompt as a user message in the chat template.", is_flag=True),
        _option("--template-kwargs", "Variables for the chat template, as JSON.", metavar="JSON"),
        _option("--max-new-tokens", "Maximum length of an answer, in tokens.",
                type=count, default=64, metavar="N"),
        _option("--temperature", "Sampling temperature; 0 means greedy decoding.",
                type=number, default=0.0, metavar="T"),
        _option("--top-p", "Nucleus sampling: sample from this share of the probability.",
                type=number, default=1.0, metavar="P"),
        _option("--top-k", "Sample from the k most likely tokens; 0 means all.",
                type=whole, default=0, metavar="K"),
        _option("--seed", "Random seed for sampling.", type=whole, default=0, metavar="S"),
        Several("--stop", metavar="TEXT", help="Strings that end an answer."),
        _option("--map", "Slider to map: every answer along it, and where each begins.",
                metavar="NAME"),
        _option("--map-range", "From where to where. Default: the slider's own range.",
                type=numbers, metavar="LOW,HIGH"),
        _option("--attribute", "Say which model moved each token: its probability with and without "
                "each coefficient.", is_flag=True),
        several=False,
    )  # fmt: skip
    add(
        "evaluate", "Score recipes or points.",
        study, *_wanted(Several), objectives,
        _option(
            "--split", "Split to score on.",
            type=click.Choice(("explore", "report")), default="explore",
        ),
        gap, several=True,
    )  # fmt: skip
    add(
        "predict", "Predict recipes or points from the points measured; nothing is run.",
        study, *_wanted(Several), objectives, several=True,
    )  # fmt: skip
    add(
        "rows", "Say which rows points kept, lost or won against the models they mix; nothing is "
        "run.",
        study, *_wanted(Several), objectives, several=True,
    )  # fmt: skip
    add("references", "Score the models that are never mixed, and list them.", study, objectives)
    add(
        "sweep", "Score many points of one or more methods, placed by a design or a search.",
        study,
        Several("--method", required=True, metavar="METHOD", help="Method, as in a recipe."),
        _option("--points", "Points per method.", type=count, required=True, metavar="N"),
        objectives,
        *searching(),
        _option("--seed", "Random seed of the points.", type=whole, default=0, metavar="S"),
        _option("--groups", "Bands of layers with coefficients of their own.",
                type=count, default=1, metavar="K"),
        _option(
            "--executor", "Run in a worker process, or in this process.",
            type=click.Choice(("local", "inline")), default="local",
        ),
    )  # fmt: skip
    add(
        "best", "Compute the best recipe of a logit-space method on an nll or perplexity, and "
        "score it.",
        study,
        _option("--method", "proxy_tuning, arm_guidance or logit_fusion.", required=True,
                metavar="METHOD"),
        _option("--objective", "Objective to make best.", required=True, metavar="NAME"),
        objectives,
    )  # fmt: skip
    points = (
        click.Argument(["study"], metavar="[STUDY]", required=False),
        _option(
            "--csv",
            "Table of points (CSV or Parquet) to use instead of a study.",
            type=Path,
            metavar="FILE",
        ),
        _option("--directions", "max or min, one per objective.", type=names, metavar="NAMES"),
        objectives,
        Several("--constraint", metavar="TEXT",
                help="What a point must meet: 2*facts - refusals >= 0.5."),
        Several("--cone", metavar="TEXT",
                help="A trade that you accept: 1 facts for 0.4 refusals."),
        _option("--utility", "What is to be large: facts - max(0, 0.3 - refusals).",
                metavar="TEXT"),
    )  # fmt: skip
    limit: dict[str, Any] = {"type": pair, "metavar": "name=value"}
    add(
        "front", "List the non-dominated points (the Pareto front), and how sure each is.", *points,
        _option("--reference", "Reference point of the hypervolume, one value per objective.",
                type=numbers,
                metavar="NUMBERS"),
        Several("--at-least", help="Say how sure each point is to reach this mean.", **limit),
        Several("--at-most", help="Say how sure each point is not to exceed this mean.", **limit),
        _option("--out", "Write the points to this .csv or .parquet file, the front marked.",
                type=Path, metavar="FILE"),
        gap,
    )  # fmt: skip
    add(
        "external", "Import results of others as external points of a study; without a file list "
        "them.",
        study, *importing(),
    )  # fmt: skip
    add("votes", "Report who won blind votes, how surely, and the position bias.", study)
    add(
        "judge", "Have a model behind an OpenAI-compatible endpoint vote between answers.",
        study, *_wanted(Several), *judging(), several=True,
    )  # fmt: skip
    add(
        "recommend", "Recommend the point of the front that fits a preference best.", *points,
        Several("--weight", help="Weight of each objective.", **limit),
        Several("--at-least", help="Lower bound on an objective's mean.", **limit),
        Several("--at-most", help="Upper bound on an objective's mean.", **limit),
        _option("--cautious", "Take every mean to be worse by this many of its standard errors.",
                type=number, default=0.0, metavar="Z"),
        _option("--optimise", "Go on from there to a better recipe, by derivatives, and score it.",
                is_flag=True),
        _option("--method", "With --optimise: begin at the best point of this method.",
                metavar="METHOD"),
        _option("--steps", "With --optimise: steps at most. Default: 40.", type=count, metavar="N"),
    )  # fmt: skip
    add(
        "export", "Export a point as a checkpoint, a LoRA adapter or a decoding folder.",
        study, *_wanted(_one), _argument("OUT"),
        _option("--adapter", "Write a LoRA adapter, which is exact.", is_flag=True),
        _option("--verify", "Accepted for compatibility; exports are always verified.",
                is_flag=True),
        several=False,
    )  # fmt: skip
    add(
        "serve", "Serve a point by the OpenAI protocol: chat, completions, streaming.",
        study, *_wanted(_one),
        _option("--host", "Address to listen on; others than this machine's need an API key.",
                default="127.0.0.1", metavar="HOST"),
        _option("--port", "Port to listen on; 0 takes any that is free.",
                type=port, default=8000, metavar="N"),
        _option("--parallel", "Requests that are answered at once; others wait.",
                type=count, default=8, metavar="N"),
        _option("--api-key-file", "File with a key that clients have to send. Default: "
                "$PARETOSCOPE_API_KEY, or none.", metavar="FILE"),
        several=False,
    )  # fmt: skip
    add("check", "Report every problem of a study before any heavy work starts.", study)
    add(
        "demo", "Write the shipped demo study, or retrain it.",
        _argument("DIR"),
        _option("--train", "Retrain the models from their seed.", is_flag=True),
        _option("--seed", "Random seed for training.", type=whole, default=0, metavar="S"),
    )  # fmt: skip
    return app
