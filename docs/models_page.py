"""docs/models.md as text: one line a class and one an adapter, from measured outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from tests.differential import adapter_paths
from tests.differential.classes import ABSENT, Class
from tests.differential.paths import CLOSE, PATHS, Outcome

LIBRARIES = ("transformers", "torch", "peft", "tokenizers")

Found = Mapping[str, Mapping[str, Outcome]]
"""Row -> path -> outcome."""

_HEAD = """\
# What works with which model

Written by `python -m docs.models`, never by hand. {versions}.

`=`: equal. `refused`: `check` refuses it, for the reason given. No other outcome is allowed: where
there is one the command ends with 1 and writes nothing.

## Classes

Every class for causal language models, and every one for images and text that reads text alone, as
a tiny random model of its structure (`engine/family/tiny.py`) with two experts; some types in
several forms. Each path is held against plain transformers, one row at a time and without a cache;
merges against stored tensors merged by hand, tensor by tensor, and loaded anew.

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

"""

_ADAPTERS = """
## Adapters

Every type in peft's registry, the usable ones in float32 on a small Llama beside a full expert.
`single` is held against peft running the adapter, every merge against the checkpoint that peft's
own `merge_and_unload` saves, exports against both after loading them anew. An adapter export is
offered for plain LoRA; `merged` stands where the adapter is exported merged instead, and
`--adapter` is refused before anything is written.

"""


def page(rows: Mapping[str, Class], classes: Found, adapters: Found) -> str:
    """The whole file; every outcome is fine."""
    versions = ", ".join(f"{each} {version(each)}" for each in LIBRARIES)
    lines = [_HEAD.format(versions=versions, close=CLOSE)]
    lines += _table(("type", "class"), PATHS, classes, lambda name: rows[name].architecture)
    lines.append("\nNo rows, because no tiny model of them reads text alone:\n\n")
    lines += [f"* {kind}: {why}\n" for kind, why in sorted(ABSENT.items())]
    lines.append(_ADAPTERS)
    paths = adapter_paths.PATHS
    lines += _table(("adapter", "peft_type"), paths, adapters, adapter_paths.type_of)
    return "".join(lines)


def _table(
    heads: tuple[str, str], paths: tuple[str, ...], found: Found, second: object
) -> list[str]:
    assert callable(second)
    lines = [f"| {' | '.join(heads)} | {' | '.join(paths)} | why |\n"]
    lines.append(f"|---|---|{'---|' * len(paths)}---|\n")
    for name, outcome in found.items():
        cells = [_mark(path, outcome) for path in paths]
        why = outcome["check"].why.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {name} | {second(name)} | {' | '.join(cells)} | {why} |\n")
    equal = sum(each["check"].kind == "equal" for each in found.values())
    lines.append(f"\n{equal} of {len(found)} equal, {len(found) - equal} refused.\n")
    return lines


def _mark(path: str, outcome: Mapping[str, Outcome]) -> str:
    if outcome[path].kind == "equal":
        return "="
    return "refused" if outcome["check"].kind == "refused" else "merged"
