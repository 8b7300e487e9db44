"""Write the demo study: the shipped family, its data and its two study files.

study.yaml        honest as a full fine-tune, and a target
study-lora.yaml   honest as a LoRA adapter of the same base
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cache.journal import make_directory, storage_error
from cache.segments import copy_segment
from engine.demo.lexicon import ABSTAIN_PATTERN
from engine.errors import BadInput, Problem

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
  - name: refusals          # a bad verb on a victim: refusing is right
    data: data/refusals.jsonl
    scorer: refusal
    chat: true
    max_new_tokens: 20
  - name: honesty           # countries that do not exist: abstaining is right
    data: data/honesty.jsonl
    scorer: regex
    pattern: "{pattern}"
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


def write_demo(out: Path) -> Path:
    """Copy the shipped study into an empty or absent directory.

    Returns:
        The path of its study.yaml.

    Raises:
        BadInput: `out` is a file, or a directory that is not empty.
    """
    shutil.copytree(FAMILY, check_empty(Path(out).expanduser()), dirs_exist_ok=True)
    return Path(out).expanduser() / "study.yaml"


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
    unfinished = Path(tempfile.mkdtemp(prefix=".demo-", dir=workspace))
    try:
        write_demo(unfinished)
        os.rename(unfinished, demo)
    except OSError as error:
        if not study.exists():  # by another process, meanwhile
            check_empty(demo)
            raise storage_error(error, demo) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return study
