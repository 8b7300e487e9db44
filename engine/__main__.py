"""The command line: everything the app does, headless.

    python -m engine COMMAND … [--json]

With --json, standard output has exactly one JSON document (sweep: JSON Lines); progress and
warnings go to standard error. Exit: 0 done; 2 bad input; 1 anything else; 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from engine import unfinished
from engine.commands.line import NAME, build_app
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


def _prepare(command: str, args: SimpleNamespace) -> None:
    """Checks of what every command takes."""
    from cache.point import default_workspace

    try:
        args.workspace = (args.workspace or default_workspace()).expanduser().absolute()
    except RuntimeError as error:  # no such ~user
        raise bad("--workspace", str(error), "Choose another directory.") from None
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", args.device):
        raise bad("--device", f"{args.device!r} is not a device", "Use auto, cpu or cuda.")
    if args.compute_dtype not in (None, *DTYPES):
        raise unknown("--compute-dtype", "dtype", args.compute_dtype, DTYPES)
    if args.several is not None:
        if not args.wanted:
            raise bad(command, "neither --recipe nor --point was given", "Give one.")
        if len(args.wanted) > 1 and not args.several:
            raise bad(command, "several recipes were given", "Give one --recipe or --point.")


def _show(command: str, document: Mapping[str, Any]) -> str:
    from engine.commands.report import REPORTS
    from engine.commands.report_others import OTHERS

    return (REPORTS | OTHERS)[command](document)


def _print(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def _exit_code(command: str, document: Mapping[str, Any]) -> int:
    if command == "check":
        return 0 if document["ok"] else 2
    if command == "evaluate":
        return int(any(point["error"] is not None for point in document["points"]))
    if command == "judge":
        return int(document["failed"] > 0)
    if command == "best":
        return int(document["point"]["error"] is not None)
    return int(bool(document.get("failed"))) if command == "sweep" else 0


def _run(command: str, args: SimpleNamespace) -> int:
    _prepare(command, args)
    tighten(args.workspace)
    left = unfinished.clean(args.workspace)
    if getattr(args, "study", None) is not None:
        left += clean_beside(Path(args.study))
    if left:
        sys.stderr.write(f"An earlier command was killed. {shown(unfinished.told(left))}\n")
    from engine.commands import find_command

    result = find_command(command)(args)
    code = 0
    documents = result if isinstance(result, Iterator) else iter([result])
    for document in documents:
        code = _exit_code(command, document)
        if code == 2:  # what check found is bad input, and is said where all bad input is
            for each in document["problems"]:
                sys.stderr.write(f"{Problem(**each)}\n")
            if not args.json:
                continue
        if args.json:
            _print(shown_json(json.dumps(document, ensure_ascii=False, allow_nan=False)))
        else:
            _print(shown(_show(command, document), lines=True, most=None))
    return code


def _usage_words(error: click.UsageError) -> str:
    """What is wrong with the words of a command, under its usage; without any words its help."""
    if error.ctx is None or isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    return f"{error.ctx.get_usage()}\n{error.ctx.command_path}: {error.format_message()}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # spinning threads made a point cost ten times its CPU on a machine with other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    show_logs("%(message)s")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    words = list(sys.argv[1:] if argv is None else argv)
    app = build_app(_run)
    try:
        with kept_private(), app.make_context(NAME, words) as context:
            return int(app.invoke(context))
    except click.exceptions.Exit as end:  # --help has been shown
        return int(end.exit_code)
    except click.UsageError as error:
        sys.stderr.write(shown(_usage_words(error), lines=True) + "\n")
        return error.exit_code
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("interrupted; everything saved so far is kept\n")
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
