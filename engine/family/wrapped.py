"""Names that a wrapper left in front: `_orig_mod.` of torch.compile, `module.` of DataParallel.

transformers finds no weight under such a name and starts it at random, so a model that has one
cannot run as it is. Weights alone (a raw state dict) are only merged, and keep whatever names they
have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from engine.errors import Problem

# torch.compile, FSDP, activation checkpointing and DeepSpeed wrap modules at any depth;
# DataParallel, Lightning and peft wrap the whole
_WRAPPER = re.compile(
    r"(?:^|\.)(?P<inner>_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
    r"|^(?P<outer>(?:module|base_model\.model)\.)"
)


def wrapped(names: Iterable[str], where: Path) -> list[Problem]:
    """The problem of weights that are stored under a wrapper's names, by the first such name."""
    found = [(name, match) for name in names if (match := _WRAPPER.search(name))]
    if not found:
        return []
    name, match = found[0]
    part = match["outer"] or f"{match['inner']}."
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    what = (
        f"tensor {name}{more} is stored under {part!r}, the name of a wrapper; transformers does "
        "not find it there"
    )
    fix = (
        f"Remove {part!r} from the names: load the unwrapped model and save it again with "
        "save_pretrained."
    )
    return [Problem(str(where), what, fix)]
