"""docs/models.md as text: one line a class, from measured outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from tests.differential.classes import Class
from tests.differential.paths import PATHS, Outcome

LIBRARIES = ("transformers", "torch", "peft", "tokenizers")

_HEAD = """\
# What works with which model

Written by `python -m docs.models`, never by hand, with {versions}.

## Classes

Every causal language model class of transformers, and some in more than one form, as a tiny random
model of its structure (`engine/family/tiny.py`) with two experts. Each path is held against plain
transformers, one row at a time and without a cache; merges against stored tensors merged by hand,
tensor by tensor, and loaded anew.

| path | held against |
|---|---|
| check | – |
| generate | a text of one row: the argmax of the whole text read anew at every step |
| batch of 64 | 64 prompts of 1 to 19 words at once: each the text that it has alone |
| choice, nll | each choice's Σ log p; log p of each token of a target; row by row, to {close:g} |
| merge | `linear` and `task_arithmetic`: log p under the hand-merged checkpoint |
| pcb | the same, by the published formula |
| fusion | `logit_fusion`: texts and log p under the weighted sum of three models' logits |
| export | the merged checkpoint: stored tensors and reloaded logits of the hand-merged one |

`=` equal. `refused`: `check` refuses the class, for the reason given. No other outcome is allowed:
the command ends with 1 and writes nothing where there is one.

"""


def page(rows: Mapping[str, Class], found: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The whole file.

    Args:
        rows: every class, in the order of the table.
        found: class -> path -> outcome, all of them fine.
    """
    versions = ", ".join(f"{each} {version(each)}" for each in LIBRARIES)
    from tests.differential.paths import CLOSE

    lines = [_HEAD.format(versions=versions, close=CLOSE)]
    lines.append(f"| type | class | {' | '.join(PATHS)} | why |\n")
    lines.append(f"|---|---|{'---|' * len(PATHS)}---|\n")
    for name, outcome in found.items():
        cells = ["=" if outcome[path].kind == "equal" else "refused" for path in PATHS]
        why = next((each.why for each in outcome.values() if each.kind == "refused"), "")
        lines.append(
            f"| {name} | {rows[name].architecture} | {' | '.join(cells)} | {_cell(why)} |\n"
        )
    equal = sum(
        all(each.kind == "equal" for each in outcome.values()) for outcome in found.values()
    )
    lines.append(f"\n{equal} of {len(found)} equal in every path, {len(found) - equal} refused.\n")
    return "".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
