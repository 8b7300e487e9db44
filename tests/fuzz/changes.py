"""Ways to change a sound file: its bytes, a value of its tree, the header before binary data.

Every change is small, so that what comes out is nearly sound and reaches far into its reader. The
values are odd, never hostile: nothing here is known to stop software that reads it.
"""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

BEYOND = "9" * 400
"""A whole number that no float holds."""

TEXTS = (
    "", " ", "a", "\x00", "\x1b[31mred", "\x9b31m", "\x7f", "\u202eabc", "é" * 40, "𝔘", "\ud800",
    "x" * 5000, "~nobody/x", "/", "..", "../base", "base", "a/b", "a\nb", "{{", "{% if %}",
    "{{ messages[9].x.y }}", "{{ 1/0 }}", "{{ raise_exception('no') }}", "{{ 'a' * 9 }}", "(", "[a",
    "(?P<a>", "\\", "%s%n", "${HOME}", "1e999", "nan", "-1", "0x10", "helpful", "task_arithmetic",
    "float32", "LlamaForCausalLM", "model.norm.weight", "<s>", "F32", "BF16", "null",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 2**31, 2**63, -(2**63) - 1, 10**30, int(BEYOND), 0.5, -0.0, 1e-320,
    1e308, float("inf"), float("-inf"), float("nan"), 1e20,
)  # fmt: skip


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, [], {}, [[]], {"a": 1}, ["a", "b"], [1, 2], ["a", 1, None],
    [None], deep(30), {"": ""}, [{}], list(range(300)),
)  # fmt: skip

YAML_WORDS = (
    "010", "1:30", "no", "off", "~", "!!timestamp 2001-99-99", "!!int x", "!!float x", "!!bool x",
    "!!binary '*'", "!!set {a}", "!!omap []", "!thing x", "&a [*a]", "*gone", "<<: 1", "? a", "{a",
    "[", "- -", "|", ">9", "%YAML 9.9", "---", "...", "\t", "'", '"', "# ", ": ", "@", "`", "1_0",
    "0b1", ".inf", "-.INF", ".nan", "1e999", "2001-01-01", "!!python/none x", "\x85", "\u2028",
)  # fmt: skip

Bytes = st.SearchStrategy[bytes]


def odd() -> st.SearchStrategy[Any]:
    """A value of JSON or YAML that a reader may not expect."""
    return st.one_of(
        st.sampled_from(VALUES),
        st.sampled_from(TEXTS),
        st.integers(),
        st.floats(),
        st.text(max_size=12),
    )


@st.composite
def in_bytes(draw: st.DrawFn, sound: bytes, upto: int | None = None) -> bytes:
    """Flip, cut, drop, repeat, blank or put in a few bytes, somewhere in the first `upto`."""
    size = max(min(len(sound), upto or len(sound)), 1)
    at = draw(st.integers(0, size - 1))
    count = draw(st.integers(1, 16))
    how = draw(st.integers(0, 5))
    if how == 0:
        flipped = sound[at] ^ (1 << draw(st.integers(0, 7))) if sound else 0
        return sound[:at] + bytes([flipped]) + sound[at + 1 :]
    if how == 1:
        return sound[:at]
    if how == 2:
        return sound[:at] + sound[at + count :]
    if how == 3:
        return sound[: at + count] + sound[at:]
    if how == 4:
        return sound[:at] + bytes(len(sound[at : at + count])) + sound[at + count :]
    return sound[:at] + draw(st.binary(min_size=1, max_size=8)) + sound[at:]


@st.composite
def in_text(draw: st.DrawFn, sound: bytes, words: tuple[str, ...] = TEXTS) -> bytes:
    """Put a word in at the beginning of a word, or in the place of one."""
    text = sound.decode()
    starts = [k for k in range(len(text)) if not k or text[k - 1] in " \n,:[{\"'"]
    at = draw(st.sampled_from(starts))
    end = at
    if draw(st.booleans()):
        while end < len(text) and text[end] not in " \n,:]}\"'":
            end += 1
    word = draw(st.sampled_from(words))
    return (text[:at] + word + text[end:]).encode("utf-8", "surrogatepass")


def places(tree: Any) -> list[tuple[Any, ...]]:
    """The way to every value of a tree, the whole first; of a long list or mapping the first 40."""
    found: list[tuple[Any, ...]] = [()]
    if isinstance(tree, dict):
        items = list(tree.items())[:40]
    else:
        items = list(enumerate(tree[:40])) if isinstance(tree, list) else []
    for key, value in items:
        found += [(key, *rest) for rest in places(value)]
    return found


@st.composite
def in_tree(draw: st.DrawFn, tree: Any) -> Any:
    """Another value, one less, one more, another name, or two values in each other's place."""
    way = draw(st.sampled_from(places(tree)))
    if not way:
        return draw(odd()) if draw(st.integers(0, 9)) == 0 else {**tree, "odd": draw(odd())} if (
            isinstance(tree, dict)
        ) else [*tree, draw(odd())]  # fmt: skip
    found = copy.deepcopy(tree)
    inner = found
    for key in way[:-1]:
        inner = inner[key]
    key, how = way[-1], draw(st.integers(0, 7))
    if how == 0:
        del inner[key]
    elif how == 1 and isinstance(inner, dict):
        inner[draw(st.sampled_from(TEXTS))] = inner.pop(key)
    elif how == 2:
        inner[key] = [inner[key]]
    elif how == 3:
        other = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        inner[key], inner[other] = inner[other], inner[key]
    elif how == 4 and isinstance(inner[key], int | float) and not isinstance(inner[key], bool):
        inner[key] = draw(st.sampled_from(NUMBERS))
    else:
        inner[key] = draw(odd())
    return found


def to_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def in_json(sound: bytes) -> Bytes:
    """Mostly another tree; sometimes other text or other bytes."""
    tree = in_tree(json.loads(sound)).map(to_json)
    return st.one_of(tree, tree, tree, in_text(sound), in_bytes(sound))


def in_json_lines(sound: bytes) -> Bytes:
    rows = in_tree([json.loads(line) for line in sound.splitlines()])
    tree = rows.map(
        lambda found: b"\n".join(map(to_json, found if isinstance(found, list) else []))
    )
    return st.one_of(tree, tree, in_text(sound), in_bytes(sound))


def _to_yaml(tree: Any) -> bytes:
    text: str = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    return text.encode("utf-8", "surrogatepass")


def in_yaml(sound: bytes) -> Bytes:
    tree = in_tree(yaml.safe_load(sound)).map(_to_yaml)
    return st.one_of(tree, tree, in_text(sound, YAML_WORDS), in_text(sound), in_bytes(sound))


def in_header(sound: bytes) -> Bytes:
    """A safetensors file: another header before the same data, another length, other bytes."""
    (length,) = struct.unpack("<Q", sound[:8])
    header, data = json.loads(sound[8 : 8 + length]), sound[8 + length :]

    def whole(found: bytes) -> bytes:
        return struct.pack("<Q", len(found)) + found + data

    lengths = st.sampled_from((0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1))
    tree = in_tree(header).map(to_json).map(whole)
    return st.one_of(
        tree,
        tree,
        in_bytes(sound[8 : 8 + length]).map(whole),
        lengths.map(lambda stated: struct.pack("<Q", stated) + sound[8:]),
        in_bytes(sound),
    )


BY_SUFFIX: dict[str, Callable[[bytes], Bytes]] = {
    ".json": in_json,
    ".jsonl": in_json_lines,
    ".yaml": in_yaml,
    ".safetensors": in_header,
    ".jinja": lambda sound: st.one_of(in_text(sound), in_bytes(sound)),
    ".csv": lambda sound: st.one_of(in_text(sound), in_bytes(sound)),
    ".tsv": lambda sound: st.one_of(in_text(sound), in_bytes(sound)),
}


def changed(name: str, sound: bytes) -> Bytes:
    """What a file may hold instead, by what kind of file it is."""
    suffix = "." + name.rpartition(".")[2]
    return BY_SUFFIX.get(suffix, in_bytes)(sound)
