"""What a class of transformers says of a checkpoint, on the last line of standard output.

python -m engine.family.fit_answer DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import first_line
from engine.family.checkpoint import Checkpoint, open_checkpoint
from engine.family.placed import empty_module, misfits_of, placement_of
from engine.family.placement import Placement

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CLASS = "Use a model class that transformers includes."


def answer(checkpoint: Checkpoint) -> dict[str, Any]:
    """{"misfits": [[what, fix] …], "spots": {stored name: part of the module}, "layers": [name …]}.

    Without spots and layers where the class cannot be made.
    """
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        module = empty_module(checkpoint)
    except Exception as error:  # a class refuses a configuration by any error it likes
        what = f"transformers cannot load it ({first_line(error)})"
        return {"misfits": [[what, _CLASS]], "spots": {}}
    finally:
        logging.set_verbosity(before)
    found = placement_of(module, checkpoint)
    misfits = [list(each) for each in misfits_of(found, module, checkpoint)]
    return {"misfits": misfits, "spots": _spots(found), "layers": _layers(module)}


def _layers(module: PreTrainedModel) -> list[str]:
    """What peft can adapt."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, nn.Embedding, Conv1D)
    return [name for name, each in module.named_modules() if isinstance(each, kinds)]


def _spots(found: Placement) -> dict[str, str]:
    spots = {name: f"{part.target}|{list(part.cuts)}" for name, part in found.parts.items()}
    for group in found.groups:
        for order, (pattern, name) in enumerate(group.sources):
            spots[name] = f"{group.key}|{pattern}|{order}"
    return spots


def main() -> None:
    """Answer for one directory."""
    import torch

    torch.set_num_threads(1)
    sys.stdout.write(f"\n{json.dumps(answer(open_checkpoint(Path(sys.argv[1]))))}\n")


if __name__ == "__main__":
    main()
