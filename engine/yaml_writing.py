"""Writes YAML that every version reads as intended: strings that YAML 1.1 or 1.2 would read as a
number, a boolean or a date are quoted.

mergekit reads what we write by the rules of 1.1, `engine.yaml_reading` by those of 1.2.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from engine.yaml_reading import CORE

_BREAKS = re.compile("[\r\n\x85\u2028\u2029]")


class _Dumper(yaml.SafeDumper):
    """Safe YAML that knows the plain texts of both versions."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # line breaks as escapes: a text stays on its line
    style = '"' if _BREAKS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


for _kind, _pattern, _first in CORE:
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first
    )
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
_Dumper.add_representer(str, _text)


def dumped(data: Any, *, flow: bool = False) -> str:
    """The YAML of texts, numbers, true, false, None, lists and mappings, in their order.

    Args:
        flow: on one line, as `{name: value}`.
    """
    return yaml.dump(
        data,
        Dumper=_Dumper,
        default_flow_style=flow,
        sort_keys=False,
        allow_unicode=True,
        width=10**6,  # no text is cut at its spaces
    )
