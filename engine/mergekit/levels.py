"""A setting of mergekit's YAML at one tensor: a number, a gradient over the depth, or filters.

    0.5                                          everywhere
    [0, 0.5, 1]                                  spread over the depth, straight lines between
    [{filter: mlp, value: [0, 1]}, {value: 1}]   the first filter that is part of the tensor's name

Flags have no line between them: the one before a place counts. A setting whose filters all miss a
tensor says nothing of it, and the next level is asked.
Source: mergekit 0.1.5, `evaluate_setting` and `resolve_parameter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.errors import bad, unknown

Check = Callable[[Any, str], Any]
"""(value, where it stands) -> the value as the method takes it; raises `BadInput`."""

_KEYS = ("filter", "value")


def filters_of(setting: Any) -> list[Mapping[str, Any]] | None:
    """The entries of a setting that goes by filters, else None."""
    if isinstance(setting, Mapping):
        return [setting]
    if isinstance(setting, list) and setting and all(isinstance(e, Mapping) for e in setting):
        return list(setting)
    return None


def check_setting(setting: Any, check: Check, where: str) -> None:
    """Refuse a setting that cannot be read, wherever it would count.

    Raises:
        BadInput: it is neither a value, a gradient nor filters.
    """
    entries = filters_of(setting)
    for each in entries or ():
        for key in each:
            if key not in _KEYS:
                raise unknown(where, "key of a filter", str(key), _KEYS)
        if each.get("value") is None:
            raise bad(where, "a filter has no value", "Write {filter: mlp, value: 0.5}.")
        if not isinstance(each.get("filter"), str | None):
            what = f"{each['filter']!r} is not part of a tensor's name"
            raise bad(where, what, "Put the text in quotes.")
    for each in [setting] if entries is None else [each["value"] for each in entries]:
        values = each if isinstance(each, list) else [each]
        if not values or any(isinstance(value, list | Mapping) for value in values):
            what = f"{setting!r} is neither a value, a gradient nor a list of filters"
            raise bad(where, what, "Write 0.5, [0, 1] or [{filter: mlp, value: 0.5}, {value: 1}].")
        for value in values:
            check(value, where)


def setting_at(setting: Any, tensor: str, depth: float, check: Check, where: str) -> Any:
    """Value of a checked setting at a tensor; None where no filter matches.

    Args:
        depth: 0 for the first layer and what lies outside the layers, 1 for the last.
        check: of one value.
    """
    entries = filters_of(setting)
    if entries is not None:
        for each in entries:
            if each.get("filter") in (None, "*") or each["filter"] in tensor:
                return setting_at(each["value"], tensor, depth, check, where)
        return None
    if not isinstance(setting, list):
        return check(setting, where)
    values = [check(each, where) for each in setting]
    position = depth * (len(values) - 1)
    first = int(position)
    if any(isinstance(each, bool | str) for each in values):
        return values[first]
    second = min(len(values) - 1, first + 1)
    part = position - first
    return check((1 - part) * values[first] + part * values[second], where)


def resolve(
    name: str,
    levels: Iterable[Mapping[str, Any]],
    tensor: str,
    depth: float,
    check: Check,
    where: str,
) -> Any:
    """The value of a parameter at a tensor, from the first level that says one; None if none does.

    Args:
        levels: settings by name, the nearest first.
    """
    for level in levels:
        if level.get(name) is not None:
            found = setting_at(level[name], tensor, depth, check, where)
            if found is not None:
                return found
    return None
