"""The patterns by which an adapter's configuration names layers. They run only where they can be
stopped, and peft only gets patterns that were seen to finish on the model's own names.

    rank_pattern, alpha_pattern, …         keys: match of (.*\\.)?(KEY)$, the first that does
    target_modules, exclude_modules, …     a text: match of the whole name; a list holds names
    modules_to_save, layers_pattern        texts that stand between dots

Source: peft 0.21, `get_pattern_key`, `match_target_against_key`, `check_target_module_exists`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine import apart
from engine.errors import Problem, bad

MOST = 4096
"""Patterns of one configuration."""

_WHOLE = r"(.*\.)?({})$"
# forms in which peft asks for a pattern of a field; the first has to be a regular expression
_KEYS = (("match", _WHOLE), ("match", r".*\.{}$"), ("search", "{}"))
_FORMS = {
    "target_modules": (("fullmatch", "{}"),),
    "exclude_modules": (("fullmatch", "{}"),),
    "feedforward_modules": (("fullmatch", "{}"),),
    "modules_to_save": (("match", r"(^|.*\.){}($|\..*)"),),
    "layers_pattern": (("match", r"(?:^|.*?\.){}\.(?P<idx>\d+)\."),),
}
_LISTS = ("modules_to_save", "layers_pattern")
# names, escaped or not: nothing in them repeats, so they end at once
_NAME = re.compile(r"\^?(?:[\w\-]|\\?\.|\\d|\\-|\\_)*\$?")
_MEND = "List the names instead, or use a simpler pattern."


def patterns_of(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, pattern) of everything that peft may take for a pattern."""
    for key, value in settings.items():
        if key.endswith("_pattern") and isinstance(value, Mapping):
            yield from ((key, str(each)) for each in value)
        elif key in _FORMS and isinstance(value, str):
            yield key, value
        elif key in _LISTS and isinstance(value, list):
            yield from ((key, each) for each in value if isinstance(each, str))


def first_pattern(patterns: Iterable[str], module: str, where: str) -> str:
    """The first pattern that matches the name or its last parts; the name itself if none does.

    Raises:
        BadInput: one of them takes too long.
    """
    found = _first(tuple(patterns), module)
    if isinstance(found, apart.Failed):
        raise bad(where, f"a pattern was stopped on the name {module!r}: {found.what}", _MEND)
    return found


@lru_cache(maxsize=1 << 16)
def _first(patterns: tuple[str, ...], module: str) -> str | apart.Failed:
    if all(map(_is_name, patterns)):
        return next((each for each in patterns if _compiled(each).match(module)), module)
    [found] = apart.match([_WHOLE.replace("{}", each) for each in patterns], [module], how="match")
    if isinstance(found, apart.Failed):
        return found
    return module if found is None else patterns[found.pattern]


def _is_name(pattern: str) -> bool:
    return len(pattern) < 1000 and _NAME.fullmatch(pattern) is not None


@lru_cache(maxsize=1 << 16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_WHOLE.replace("{}", pattern))


def pattern_problems(
    settings: Mapping[str, Any], names: Iterable[str], file: Path
) -> list[Problem]:
    """Patterns that are none, or that do not end on these names of modules in the time they have.

    Args:
        settings: of adapter_config.json.
    """
    found = [each for each in patterns_of(settings) if not _is_name(each[1])]
    if len(found) > MOST:
        what = f"it holds {len(found):,} patterns; {MOST:,} is the limit"
        return [Problem(str(file), what, _MEND)]
    if not found:
        return []
    asked = [
        [[how, form.replace("{}", pattern)] for how, form in _FORMS.get(key, _KEYS)]
        for key, pattern in found
    ]
    inside = [each for name in names for each in (name, f"{name}.base_layer")]
    problems: list[Problem] = []
    for (key, pattern), failed in zip(found, apart.ends(asked, inside), strict=True):
        if failed is None:
            continue
        if failed.limit:
            what = f"{key}: the pattern {pattern[:200]!r} was stopped: {failed.what}"
            return [*problems, Problem(str(file), what, _MEND)]
        what = f"{key}: {pattern[:200]!r} is not a regular expression ({failed.what})"
        problems.append(Problem(str(file), what, "Correct it."))
    return problems
