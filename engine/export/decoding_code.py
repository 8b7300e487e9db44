"""The code of an exported decoding folder: one file, out of how to generate and how to combine.

Read as text: nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import engine.decoding

_IMPORTS = (
    "from engine.decoding.rules import combined\n"
    "from engine.export.turning import turned, turned_back\n\n"
)
_EMPTY = "SETTINGS: dict[str, Any] = {}\n"
_BEGINS = "\nOptions = "
_TURNING = "\nGiven = "


def generate_code(settings: Mapping[str, Any]) -> str:
    """The text of custom_generate/generate.py.

    Args:
        settings: what it has to know of the mixture.
    """
    code = Path(__file__).with_name("custom_generate.py").read_text(encoding="utf-8")
    rules = Path(engine.decoding.__file__).with_name("rules.py").read_text(encoding="utf-8")
    turning = Path(__file__).with_name("turning.py").read_text(encoding="utf-8")
    before = f"{_body(rules, _BEGINS)}\n\n{_body(turning, _TURNING)}"
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
