"""Write the demo study: the shipped family, its data and its two study files.

study.yaml        honest as a full fine-tune, and a target
study-lora.yaml   honest as a LoRA adapter of the same base
"""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.demo.lexicon import ABSTAIN_PATTERN
from engine.errors import BadInput, Problem

FAMILY = Path(__file__).parent / "family"
"""What `engine.demo.train` wrote for seed 0."""

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
