"""The command line: everything the app does, headless.

    python -m engine COMMAND … [--json]

With --json one JSON document stands on standard output and nothing else (sweep: JSON Lines);
progress and warnings go to standard error. Exit: 0 done; 2 bad input; 1 anything else; 130
interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine import unfinished
from engine.commands import arguments
from engine.errors import (
    BadInput,
    Cancelled,
    ParetoscopeError,
    Problem,
    bad,
    show_logs,
    shown,
    shown_json,
    unknown,
)
from engine.private import kept_private, tighten
from engine.replacing import clean_beside

log = logging.getLogger("paretoscope")

DTYPES = ("float32", "bfloat16", "float16")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, shown(f"{self.prog}: {message}") + "\n")


class _Wanted(argparse.Action):
    """Keeps --recipe and --point in the order they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        kind = "recipe" if option_string == "--recipe" else "point"
        wanted = list(getattr(namespace, "wanted", None) or [])
        namespace.wanted = [*wanted, *((kind, value) for value in values)]


def _common() -> _Parser:
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on standard output")
    common.add_argument(
        "--workspace", type=Path, help="default $PARETOSCOPE_HOME or ~/.paretoscope"
    )
    common.add_argument("--device", default="auto", help="auto, cpu or cuda")
    common.add_argument("--compute-dtype", help="float32, bfloat16 or float16; default by device")
    return common


def _want(parser: argparse.ArgumentParser, several: bool) -> None:
    count = "+" if several else 1
    parser.add_argument(
        "--recipe", nargs=count, action=_Wanted, metavar="FILE", help="a recipe file"
    )
    parser.add_argument("--point", nargs=count, action=_Wanted, metavar="ID", help="a point's id")
    parser.set_defaults(wanted=[], several=several)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = _Parser(prog="python -m engine", description="Paretoscope, headless.")
    commands: argparse._SubParsersAction[_Parser] = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    common = _common()

    def add(name: str, help: str) -> _Parser:
        return commands.add_parser(name, help=help, description=help, parents=[common])

    sub = add("merge", "merge what a merge file or mergekit YAML asks for")
    sub.add_argument("config", metavar="CONFIG")
    sub.add_argument("out", metavar="OUT")
    sub.add_argument("--dtype", default="base", help="base, float32, bfloat16 or float16")
    sub.add_argument("--shard-size", default="5GB")
    sub.add_argument("--memory", default="8GB", help="limit on what the merge holds at a time")

    sub = add("generate", "answers of one recipe")
    sub.add_argument("study", metavar="STUDY")
    _want(sub, several=False)
    sub.add_argument("--prompt", nargs="+", action="extend", required=True, metavar="TEXT")
    sub.add_argument("--chat", action="store_true", help="wrap each prompt in the chat template")
    sub.add_argument("--template-kwargs", metavar="JSON", help="variables of the chat template")
    sub.add_argument("--max-new-tokens", type=arguments.count, default=64)
    sub.add_argument("--temperature", type=arguments.number, default=0.0)
    sub.add_argument("--top-p", type=arguments.number, default=1.0)
    sub.add_argument("--top-k", type=arguments.whole, default=0)
    sub.add_argument("--seed", type=arguments.whole, default=0)
    sub.add_argument("--stop", nargs="+", action="extend", default=[], metavar="TEXT")

    sub = add("evaluate", "scores of recipes or points")
    sub.add_argument("study", metavar="STUDY")
    _want(sub, several=True)
    sub.add_argument("--objectives", type=arguments.names)
    sub.add_argument("--split", choices=("explore", "report"), default="explore")

    sub = add("sweep", "evaluate a design over a method's sliders")
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--method", nargs="+", action="extend", required=True)
    sub.add_argument("--points", type=arguments.count, required=True, help="how many a method")
    sub.add_argument("--strategy", choices=("grid", "sobol", "suggest"), default="grid")
    sub.add_argument("--objectives", type=arguments.names)
    sub.add_argument("--seed", type=arguments.whole, default=0)
    sub.add_argument("--executor", choices=("local", "inline", "ray"), default="local")

    for name, help in (
        ("front", "the non-dominated points"),
        ("recommend", "the front point that serves a preference best"),
    ):
        sub = add(name, help)
        sub.add_argument("study", metavar="STUDY", nargs="?")
        sub.add_argument("--csv", type=Path, metavar="FILE")
        sub.add_argument("--directions", type=arguments.names, help="max or min, an objective each")
        sub.add_argument("--objectives", type=arguments.names)
        if name == "front":
            sub.add_argument("--reference", type=arguments.numbers, help="of the hypervolume")
        else:
            pairs = {
                "nargs": "+",
                "action": "extend",
                "type": arguments.pair,
                "metavar": "name=value",
            }
            sub.add_argument("--weight", required=True, **pairs)  # type: ignore[arg-type]
            sub.add_argument("--at-least", default=[], **pairs)  # type: ignore[arg-type]
            sub.add_argument("--at-most", default=[], **pairs)  # type: ignore[arg-type]

    sub = add("export", "write a point as a checkpoint, adapter or decoding folder")
    sub.add_argument("study", metavar="STUDY")
    _want(sub, several=False)
    sub.add_argument("out", metavar="OUT")
    sub.add_argument("--adapter", action="store_true", help="a LoRA adapter, exact")
    sub.add_argument("--verify", action="store_true", help="always done; still accepted")
    sub.set_defaults(objectives=None)

    sub = add("check", "every problem of a study, before anything heavy")
    sub.add_argument("study", metavar="STUDY")

    sub = add("demo", "write the shipped study, or train it anew")
    sub.add_argument("dir", metavar="DIR")
    sub.add_argument("--train", action="store_true", help="rebuild the models from their seed")
    sub.add_argument("--seed", type=arguments.whole, default=0)
    return parser


def _prepare(args: argparse.Namespace) -> None:
    """Checks that argparse has no words for."""
    from cache.point import default_workspace

    try:
        args.workspace = (args.workspace or default_workspace()).expanduser().absolute()
    except RuntimeError as error:  # no such ~user
        raise bad("--workspace", str(error), "Give another directory.") from None
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", args.device):
        raise bad("--device", f"{args.device!r} is not a device", "Use auto, cpu or cuda.")
    if args.compute_dtype not in (None, *DTYPES):
        raise unknown("--compute-dtype", "dtype", args.compute_dtype, DTYPES)
    if hasattr(args, "several"):
        if not args.wanted:
            raise bad(args.command, "neither --recipe nor --point is given", "Give one.")
        if len(args.wanted) > 1 and not args.several:
            raise bad(args.command, "several recipes are given", "Give one --recipe or --point.")


def _show(command: str, document: Mapping[str, Any]) -> str:
    from engine.commands.report import REPORTS

    return REPORTS[command](document)


def _print(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def _exit_code(command: str, document: Mapping[str, Any]) -> int:
    if command == "check":
        return 0 if document["ok"] else 2
    if command == "evaluate":
        return int(any(point["error"] is not None for point in document["points"]))
    return int(bool(document.get("failed"))) if command == "sweep" else 0


def _run(args: argparse.Namespace) -> int:
    _prepare(args)
    tighten(args.workspace)
    left = unfinished.clean(args.workspace)
    if getattr(args, "study", None) is not None:
        left += clean_beside(Path(args.study))
    if left:
        sys.stderr.write(f"A command was killed earlier. {shown(unfinished.told(left))}\n")
    from engine.commands import find_command

    result = find_command(args.command)(args)
    code = 0
    documents = result if isinstance(result, Iterator) else iter([result])
    for document in documents:
        code = _exit_code(args.command, document)
        if code == 2:  # what check found is bad input, and is said where all bad input is
            for each in document["problems"]:
                sys.stderr.write(f"{Problem(**each)}\n")
            if not args.json:
                continue
        if args.json:
            _print(shown_json(json.dumps(document, ensure_ascii=False, allow_nan=False)))
        else:
            _print(shown(_show(args.command, document), lines=True, most=None))
    return code


def _joined(argv: Sequence[str]) -> list[str]:
    """`--reference -1,2` as `--reference=-1,2`: argparse takes a leading minus for an option."""
    found: list[str] = []
    for each in argv:
        if found and found[-1] == "--reference":
            found[-1] += f"={each}"
        else:
            found.append(each)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # spinning threads made a point cost ten times its CPU on a machine with other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    show_logs("%(message)s")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    args = build_parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        with kept_private():
            return _run(args)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("interrupted; what was saved stays saved\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ParetoscopeError as error:
        sys.stderr.write(shown(str(error), lines=True, most=None) + "\n")
        return error.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(shown(f"{where}{error.strerror or error}") + "\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
