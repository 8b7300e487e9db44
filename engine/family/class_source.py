"""What a transformers class declares about itself, read from its source: nothing is imported.

Which stored tensors a class ignores stands in `_keys_to_ignore_on_load_unexpected` (predictors of
further tokens that only training needs, other towers). Importing transformers to ask would take
seconds and torch; its files are at hand.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_MARK = "_keys_to_ignore_on_load_unexpected"
_CLASS = re.compile(r"^class (\w+)\((.*?)\)?:?$")
_VALUE = re.compile(rf"^    {_MARK} = (?=[\[{{(])")
_MAPPINGS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
)
_SHARED = re.compile(r"PreTrainedModel$|Model$")


@lru_cache(maxsize=1)
def _library() -> Path | None:
    """Where transformers is installed."""
    found = importlib.util.find_spec("transformers")
    places = None if found is None else found.submodule_search_locations
    return Path(next(iter(places))) if places else None


@lru_cache(maxsize=1)
def _auto() -> str:
    library = _library()
    file = None if library is None else library / "models" / "auto" / "modeling_auto.py"
    return "" if file is None or not file.is_file() else file.read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def text_class_name(model_type: str) -> str | None:
    """Name of the class that runs text for a model type; None if transformers has none."""
    text = _auto()
    for mapping in _MAPPINGS:
        start = text.find(f"\n{mapping} = ")
        end = text.find("\n)\n", start)
        if start < 0 or end < 0:
            continue
        match = re.search(rf'\(\s*"{re.escape(model_type)}",\s*\(?"(\w+)"', text[start:end])
        if match is not None:
            return match[1]
    return None


def _sources(model_type: str) -> Iterator[str]:
    library = _library()
    if library is None or not re.fullmatch(r"[\w.\-]+", model_type):
        return
    folder = library / "models" / model_type.replace("-", "_").replace(".", "_")
    if not folder.is_dir():  # a text part that lives beside its whole: gemma3_text in gemma3
        folder = folder.with_name(folder.name.removesuffix("_text"))
    for file in sorted(folder.glob("modeling_*.py")) if folder.is_dir() else ():
        text = file.read_text(encoding="utf-8")
        if _MARK in text:
            yield text


def _by_class(text: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Class -> (names of its bases, patterns that it sets itself)."""
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    lines = text.splitlines()
    name = ""
    for number, line in enumerate(lines):
        match = _CLASS.match(line)
        if match is not None:
            name = match[1]
            bases = tuple(each.strip() for each in match[2].split(","))
            found[name] = (bases, ())
        elif name and _VALUE.match(line):
            value = line.split(" = ", 1)[1]
            for more in lines[number + 1 : number + 40]:
                try:
                    patterns = ast.literal_eval(value)
                    break
                except SyntaxError:
                    value += "\n" + more
                except ValueError:
                    patterns = ()
                    break
            else:
                patterns = ()
            found[name] = (found[name][0], tuple(str(each) for each in patterns))
    return found


@lru_cache(maxsize=64)
def ignored_patterns(model_type: str, *, whole: bool) -> tuple[str, ...]:
    """Regular expressions of stored names that the class of a model type ignores.

    Args:
        whole: the type of the checkpoint itself; False for a part of a composite one, of which the
            models without a head count.
    """
    patterns: set[str] = set()
    for text in _sources(model_type):
        classes = _by_class(text)
        wanted = [name for name in classes if _SHARED.search(name) and "For" not in name]
        own = text_class_name(model_type) if whole else None
        for start in [*wanted, *([own] if own in classes else [])]:
            name: str | None = start
            while name is not None:
                bases, mine = classes[name]
                if mine:
                    patterns.update(mine)
                    break
                name = next((each for each in bases if each in classes), None)
    return tuple(sorted(patterns))
