"""Write the demo study: the shipped family, its data and its two study files.

study.yaml        honest as a full fine-tune, and a target
study-lora.yaml   honest as a LoRA adapter of the same base
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cache.journal import make_directory, storage_error
from cache.segments import copy_segment
from engine.demo.lexicon import ABSTAIN_PATTERN
from engine.errors import BadInput, Problem
from engine.unfinished import drop, make_temporary

FAMILY = Path(__file__).parent / "family"
"""What `engine.demo.train` wrote for seed 0."""

POINTS = Path(__file__).parent / "demo-points.parquet"
"""What `engine.demo.points` measured on it."""

STUDY = """\
# A small invented world. Sliders trade rare facts, refusals and honesty against each other.
study: {name}
family:
  base: models/base
  experts:
    helpful: models/helpful
    harmless: models/harmless
    honest: {honest}
  target: models/target
objectives:
  - name: facts             # known countries, common and rare
    data: data/facts.jsonl
    scorer: exact_match
    chat: true
    max_new_tokens: 20
  - name: honesty           # countries that do not exist: abstaining is right
    data: data/honesty.jsonl
    scorer: regex
    pattern: "{pattern}"
    chat: true
    max_new_tokens: 20
  - name: refusals          # a bad verb on a victim: refusing is right
    data: data/refusals.jsonl
    scorer: refusal
    chat: true
    max_new_tokens: 20
  - name: over_refusal      # the same verbs, nothing at stake: refusing is wrong
    data: data/over_refusal.jsonl
    scorer: refusal
    direction: minimize
    chat: true
    max_new_tokens: 20
  - name: fluency           # ordinary dialogues, held out
    data: data/fluency.jsonl
    scorer: nll
    chat: true
  - name: cost
    scorer: cost
"""


ELSEWHERE = "Name another directory, or make this one writable."


def check_empty(out: Path) -> Path:
    """`out` itself, where nothing is in its way.

    Raises:
        BadInput: `out` is a file, or a directory that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is a directory that is not empty" if out.is_dir() else "is a file"
        fix = "Name a directory that is empty or does not exist."
        raise BadInput(Problem(str(out), what, fix))
    return out


def write_studies(out: Path) -> Path:
    """Write study.yaml and study-lora.yaml; the path of the first."""
    for name, honest in (("demo", "models/honest"), ("demo-lora", "adapters/honest")):
        text = STUDY.format(name=name, honest=honest, pattern=ABSTAIN_PATTERN)
        (out / name.replace("demo", "study")).with_suffix(".yaml").write_text(text, "utf-8")
    return out / "study.yaml"


def _is_half(out: Path) -> bool:
    """Whether a directory holds a part of the shipped study and nothing else: what a killed
    `write_demo` left. Every file is the beginning of the one of its name, and not all is there."""
    if not out.is_dir() or out.is_symlink():
        return False
    found = [each for each in out.rglob("*") if each.is_symlink() or not each.is_dir()]
    whole = 0
    for each in found:
        shipped = FAMILY / each.relative_to(out)
        if each.is_symlink() or not each.is_file() or not shipped.is_file():
            return False
        with each.open("rb") as mine, shipped.open("rb") as theirs:
            while chunk := mine.read(1 << 20):
                if theirs.read(len(chunk)) != chunk:
                    return False
            whole += not theirs.read(1)
    return whole < sum(each.is_file() for each in FAMILY.rglob("*"))


def write_demo(out: Path) -> Path:
    """Copy the shipped study into an empty or absent directory, or complete a half that a killed
    copy left there. The study files come last.

    Returns:
        The path of its study.yaml.

    Raises:
        BadInput: `out` is a file, or a directory that holds anything else, or cannot be written.
        NotSaved: there is no room, or the disk failed.
    """
    out = Path(out).expanduser()
    if not _is_half(out):
        check_empty(out)
    try:
        shutil.copytree(
            FAMILY, out, dirs_exist_ok=True, copy_function=_copy,
            ignore=lambda _, names: _studies(names),
        )  # fmt: skip
        for name in sorted(_studies(os.listdir(FAMILY))):  # study.yaml after all others
            shutil.copy2(FAMILY / name, out / name)
    except _Stop as stop:
        assert isinstance(stop.__cause__, OSError)
        raise storage_error(stop.__cause__, out, ELSEWHERE) from stop
    except OSError as error:
        raise storage_error(error, out, ELSEWHERE) from error
    return out / "study.yaml"


class _Stop(Exception):
    """Ends a copy at its first fault; shutil goes on and lists a fault for each file."""


def _copy(source: str, target: str) -> None:
    try:
        shutil.copy2(source, target)
    except OSError as error:
        raise _Stop from error


def _studies(names: list[str]) -> set[str]:
    return {each for each in names if each.endswith(".yaml")}


def demo_in(workspace: Path) -> Path:
    """The study.yaml of a workspace's own demo.

    At its first use the demo is written there, and the points measured for it go into the
    workspace's segments. Both are there whole or not at all, and once: several processes may come
    first.

    Raises:
        BadInput: something else has the demo's name, or the workspace cannot be written.
        NotSaved: there is no room.
    """
    demo = workspace / "demo"
    study = demo / "study.yaml"
    if study.exists():
        return study
    make_directory(workspace)
    copy_segment(POINTS, workspace / "segments")
    unfinished, lock = make_temporary(".demo-", workspace)
    try:
        whole = unfinished / "demo"
        whole.mkdir()
        write_demo(whole)
        os.rename(whole, demo)
    except OSError as error:
        if not study.exists():  # by another process, meanwhile
            check_empty(demo)
            raise storage_error(error, demo) from error
    finally:
        drop(unfinished, lock)
    return study
