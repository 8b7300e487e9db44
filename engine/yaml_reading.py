"""Reads YAML 1.2 within limits: a small hand-written file, never a program.

    010 is 10, 0o10 is 8, 1e3 is a number; yes, no, on, off, 1:30 and 2024-01-01 are texts; a key is
    the text that stands there, whatever it looks like

Refused with a message: tags that construct values, duplicate keys, aliases that expand too far or
contain themselves, endless nesting.
Source: YAML 1.2.2, chapter 10.3 (the core schema). PyYAML's parser, with none of its resolvers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.error import MarkedYAMLError
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver, Resolver
from yaml.scanner import Scanner

from engine.errors import bad
from engine.plain_file import read_plain

MAX_BYTES = 1_000_000
"""Of a study, a recipe or a merge file."""

MAX_NODES = 100_000
"""Values of one file, those of an alias counted wherever it stands."""

MAX_DEPTH = 100
_DIGITS = 4000
_APART = "Put each document into a file of its own."

_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_MERGE = "tag:yaml.org,2002:merge"
_SIGNS = list("-+.0123456789")
CORE: tuple[tuple[str, str, list[Any]], ...] = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _SIGNS),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        _SIGNS,
    ),
    ("merge", "<<", ["<"]),
)
"""What a plain scalar can be: tag, pattern of the whole, first characters. Else it is a text."""

_SEPARATORS = re.compile("[\x85\u2028\u2029]")


class _Another(yaml.YAMLError):
    """A document follows the first, at this line."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _refusal(what: str, mark: Any) -> MarkedYAMLError:
    return MarkedYAMLError(problem=what, problem_mark=mark)


class _Loader(Reader, Scanner, Parser, Composer, SafeConstructor, BaseResolver):
    """The core schema within limits.

    Attributes:
        doubtful: (line, text) of values that YAML 1.1 takes for something else.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        BaseResolver.__init__(self)
        self.doubtful: list[tuple[int, str]] = []
        self._depth = self._total = 0
        self._sizes: dict[int, int] = {}  # id of a collection -> values in it

    def get_single_node(self) -> Any:
        """The one document of a text; None of an empty one."""
        node = self.get_node() if self.check_node() else None
        if self.check_node():
            event: Any = self.peek_event()
            raise _Another(event.start_mark.line + 1)
        return node

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node, once it is known to keep within the limits."""
        event: Any = self.peek_event()
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        node: Any
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if node.end_mark is None:
                raise _refusal(f"the alias {event.anchor!r} holds itself", event.start_mark)
            size = self._sizes.get(id(node), 1)
        else:
            _check_tag(event)
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise _refusal(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
            before = self._total
            node = super().compose_node(parent, index)
            self._depth -= 1
            size = 1
            if isinstance(node, yaml.CollectionNode):
                self._sizes[id(node)] = 1 + self._total - before
            elif not is_key and event.implicit[0] and _reads_otherwise(node):
                self.doubtful.append((event.start_mark.line + 1, node.value))
        self._total += size
        if self._total > MAX_NODES:
            what = f"it holds more than {MAX_NODES:,} values, those of aliases counted"
            raise _refusal(what, event.start_mark)
        return _as_key(node, event.start_mark) if is_key else node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != _MERGE and key.value in seen:
                raise _refusal(f"the key {key.value!r} appears twice", key.start_mark)
            seen.add(key.value)
        return node


def _check_tag(event: Any) -> None:
    allowed = (_STR,) if isinstance(event, yaml.ScalarEvent) else (_SEQ, _MAP)
    if event.tag is not None and event.tag not in allowed:
        said = str(event.tag).replace("tag:yaml.org,2002:", "!!")
        raise _refusal(f"the tag {said!r} is not supported", event.start_mark)


def _as_key(node: yaml.Node, mark: Any) -> yaml.Node:
    """A key as the text that it is: two names that look like one number stay two."""
    if not isinstance(node, yaml.ScalarNode):
        raise _refusal("a key must be a string", mark)
    if node.tag == _MERGE:
        return node
    return yaml.ScalarNode(_STR, node.value, node.start_mark, node.end_mark, style=node.style)


_EARLIER = Resolver()


def _reads_otherwise(node: yaml.ScalarNode) -> bool:
    """Whether YAML 1.1 takes a plain text for another value than this."""
    kind = _EARLIER.resolve(yaml.ScalarNode, node.value, (True, False))
    if kind in (_STR, "tag:yaml.org,2002:value"):
        return False
    octal = kind.endswith(":int") and re.fullmatch(r"[-+]?0[0-7]+", node.value) is not None
    return kind != node.tag or (octal and int(node.value, 8) != int(node.value))


def _whole(loader: Any, node: yaml.ScalarNode) -> int:
    text = node.value
    bases = {"0o": 8, "0x": 16}
    if text[:2] in bases:
        return int(text[2:], bases[text[:2]])
    if len(text) > _DIGITS:
        raise _refusal(f"a number of {len(text):,} digits", node.start_mark)
    return int(text)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


for _kind, _pattern, _first in CORE:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


@dataclass(frozen=True)
class Document:
    """What a file holds.

    Attributes:
        data: texts, numbers, true, false, None, lists and mappings.
        doubtful: (line, text) of values that YAML 1.1 takes for something else.
    """

    data: Any
    doubtful: tuple[tuple[int, str], ...] = ()


def read_document(path: Path, several: str = _APART) -> Document:
    """Parsed YAML of a file; raises `BadInput` naming file and line.

    Args:
        several: what to do where it holds more than one document.
    """
    fix = f"Give a YAML file of at most {MAX_BYTES:,} bytes."
    content = read_plain(path, MAX_BYTES, fix=fix)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"not UTF-8 text (byte {error.start})"
        raise bad(str(path), what, "Save it as UTF-8.") from None
    return parse(text, str(path), several)


def read_yaml(path: Path) -> Any:
    """The data of a YAML file; raises `BadInput` naming file and line."""
    return read_document(path).data


def parse(text: str, where: str, several: str = _APART) -> Document:
    """What a text of YAML holds; raises `BadInput` naming `where` and the line."""

    def construct(loader: _Loader) -> Document:
        return Document(loader.get_single_data(), tuple(loader.doubtful))

    found: Document = _read(text, where, construct, several)
    return found


def compose(text: str, where: str) -> Any:
    """The nodes of a text of YAML, with the places where they stand; raises as `parse`."""
    return _read(text, where, lambda loader: loader.get_single_node())


def _read(text: str, where: str, use: Callable[[_Loader], Any], several: str = _APART) -> Any:
    found = _SEPARATORS.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        what = (
            f"it contains the separator {found[0]!a} unescaped, which YAML readers treat "
            "differently"
        )
        raise bad(f"{where}:{line}", what, f"Write {found[0]!a} in double quotes.")
    try:
        return use(_Loader(text))
    except _Another as error:
        what = "another document begins here (---), and only one is read"
        raise bad(f"{where}:{error.line}", what, several) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "malformed"
        raise bad(place, f"not valid YAML ({what})", "Correct it.") from None
