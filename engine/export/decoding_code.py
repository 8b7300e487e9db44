"""The code of an exported decoding folder: one file, out of how to generate and how to combine.

Read as text: nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import engine.decoding
import engine.family

_IMPORTS = (
    "from engine.decoding.rules import combined\n"
    "from engine.export.own_prompts import Read, inputs_of\n"
    "from engine.export.turning import check_rows, turned, turned_back\n\n"
)
_EMPTY = "SETTINGS: dict[str, Any] = {}\n"
_BEGINS = "\nOptions = "
_TURNING = "\nGiven = "
_READ = "\nRead = "
_SPEAKING = "\nMessages = "


def generate_code(settings: Mapping[str, Any]) -> str:
    """The text of custom_generate/generate.py.

    Args:
        settings: what it has to know of the mixture.
    """
    code = Path(__file__).with_name("custom_generate.py").read_text(encoding="utf-8")
    rules = Path(engine.decoding.__file__).with_name("rules.py").read_text(encoding="utf-8")
    turning = Path(__file__).with_name("turning.py").read_text(encoding="utf-8")
    own = Path(__file__).with_name("own_prompts.py").read_text(encoding="utf-8")
    speaking = Path(engine.family.__file__).with_name("speaking.py").read_text(encoding="utf-8")
    parts = ((rules, _BEGINS), (speaking, _SPEAKING), (own, _READ), (turning, _TURNING))
    before = "\n\n".join(_body(*each) for each in parts)
    more = "from collections.abc import Callable, Mapping, Sequence\n"
    for old, new in (
        ("import inspect\n", "import inspect\nimport math\n" + more),
        ("import torch\n", "import torch\nfrom torch import Tensor\n"),
        (_IMPORTS, ""),
        (_EMPTY, f"{before}\n\nSETTINGS: dict[str, Any] = {dict(settings)!r}\n"),
    ):
        if old not in code:
            raise RuntimeError(f"custom_generate.py lacks {old!r}")
        code = code.replace(old, new, 1)
    return code


def _body(text: str, begins: str) -> str:
    """A file without its docstring and imports."""
    _, found, rest = text.partition(begins)
    return begins.lstrip() + rest if found else text
