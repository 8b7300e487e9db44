"""Reads the values of a hand-written YAML file, and collects every problem before raising any.

It knows mappings, paths, model directories and numbers; `engine.study` knows what they mean.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad, kind_of, unknown
from engine.parameter import is_number
from engine.recipe import FrozenDict

CHAT_KEYS = ("template_kwargs", "answer_after")
"""Keys of an objective that say how its chat is written and where the answer begins."""

MODEL_OPTIONS = ("classifier",)
"""Options of a scorer that name a model's directory, as the models of a family are named."""

RESERVED = (
    "messages", "conversation", "chat_template", "add_generation_prompt", "continue_final_message",
    "tokenize", "padding", "truncation", "max_length", "return_tensors", "return_dict",
    "return_assistant_tokens_mask", "tokenizer_kwargs", "sanitize_control_tokens",
)  # fmt: skip
"""Names that are not the template's own: the conversation, and how transformers encodes it."""


def frozen(value: Any) -> Any:
    """A value of YAML or JSON that can be hashed: mappings and lists all the way down."""
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(each) for key, each in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def variables_of(value: Any, where: str) -> FrozenDict:
    """Variables of a chat template; raises `BadInput` if a name or a value cannot be one."""
    if not isinstance(value, Mapping):
        raise bad(where, f"expected a mapping, got {value!r}", "Write it as name: value.")
    for name in value:
        if not isinstance(name, str) or name in RESERVED:
            raise bad(where, f"{name!r} cannot be a template variable", "Remove it.")
    try:
        # a date, a set or an infinity means nothing to a template, and has no fingerprint
        json.dumps(value, allow_nan=False, sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        fix = "Use strings, numbers, true, false, null, lists and mappings."
        raise bad(where, f"contains values that a template cannot read ({error})", fix) from None
    found: FrozenDict = frozen(value)
    return found


LONGEST_NAME = 80


def name_problem(name: Any, taken: tuple[str, ...] = ()) -> str:
    """Why this cannot be the name of a study, an expert or an objective; "" if it can.

    Letters and digits of any script, single spaces within, _ . and - can be. The rest would end the
    name where names are listed: , ; and : in an address, = and , on the command line, @ before the
    group of a coefficient, ( and ) around those of a recipe, markup on a page.

    Args:
        taken: names that mean something else.
    """
    if not isinstance(name, str):
        return "it is not a string"
    if not name.strip():
        return "it is empty"
    if name in taken:
        return "it is reserved"
    if name != name.strip() or "  " in name:
        return "a trailing space or two spaces in a row would be invisible"
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    for each in name:
        if each not in " _.-" and unicodedata.category(each)[0] not in "LMN":
            return f"{each!r} is reserved in URLs or on the command line"
    if not name[0].isalnum():
        return f"it begins with {name[0]!r}, not with a letter or a digit"
    return ""


def naming_problems(name: Any, where: str, kind: str, taken: tuple[str, ...] = ()) -> list[Problem]:
    """The problem of what cannot name a `kind`, with `name_problem`; none where it can."""
    why = name_problem(name, taken)
    fix = "Use letters, digits, single spaces, _ . and -."
    return [Problem(where, f"{name!r} cannot name {kind}: {why}", fix)] if why else []


_HUB_ID = re.compile(r"[\w.\-]+/[\w.\-]+")


def place_of(value: str, folder: Path, where: str) -> Path:
    """The absolute path that a file in `folder` means; raises `BadInput` if it is none."""
    try:
        return (folder / Path(value).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, no such ~user
        raise bad(where, f"{value[:80]!r} is not a path ({error})", "Give a path.") from None


def study_file(value: str, folder: Path, where: str = "study") -> Path:
    """The study file that a text names: itself, or study.yaml of the directory that it names.

    Raises:
        BadInput: it is no path.
    """
    place = place_of(value, folder, where)
    try:
        return place / "study.yaml" if place.is_dir() else place
    except OSError as error:  # a name too long, say
        raise bad(where, f"{value[:80]!r} is not a path ({error.strerror})", "Give one.") from None


def model_of(value: str, folder: Path, where: str) -> Path:
    """Where a model lies: an existing path wins, then a hub id in the local cache.

    The network is never asked; a path where nothing lies comes back as it is.
    """
    place = place_of(value, folder, where)
    try:
        if place.exists() or not _HUB_ID.fullmatch(value):
            return place
    except OSError as error:
        what = f"{value[:80]!r} cannot be read ({error.strerror})"
        raise bad(where, what, "Check the path.") from None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for name in ("config.json", "adapter_config.json"):
        try:
            found = try_to_load_from_cache(value, name)
        except HFValidationError:  # "../x": no id, so a path where nothing lies
            return place
        if isinstance(found, str):
            return Path(found).parent
    return place


class Reader:
    """Collects every problem of one file.

    Attributes:
        problems: what was found so far, each with the file and the key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def problem(self, where: str, what: str, fix: str = "") -> None:
        self.problems.append(Problem(f"{self.path}: {where}", what, fix))

    def name(self, value: Any, where: str, kind: str, taken: tuple[str, ...] = ()) -> None:
        """A problem for what cannot name a `kind`."""
        self.problems += naming_problems(value, f"{self.path}: {where}", kind, taken)

    def unknown(self, where: str, kind: str, name: Any, known: tuple[str, ...]) -> None:
        """The problem of a name that is not among `known`, with near matches."""
        self.problems.extend(unknown(f"{self.path}: {where}", kind, str(name), known).problems)

    def mapping(self, data: Any, where: str, keys: tuple[str, ...] | None = None) -> dict[str, Any]:
        """A mapping with keys as texts; {} and a problem for anything else."""
        if not isinstance(data, Mapping):
            what = f"expected a mapping, got {kind_of(data)}"
            self.problem(where, what, "Write it as name: value.")
            return {}
        for key in data:
            if keys is not None and key not in keys:
                self.unknown(where, "key", key, keys)
        return {str(key): value for key, value in data.items()}

    def place(self, value: Any, where: str) -> Path:
        """An absolute path; relative ones are relative to the file."""
        return self._path(value, where, place_of)

    def model(self, value: Any, where: str) -> Path:
        """A model's directory, as `model_of` finds it."""
        return self._path(value, where, model_of)

    def _path(self, value: Any, where: str, find: Any) -> Path:
        if not isinstance(value, str) or not value:
            self.problem(where, f"expected a path, got {value!r}", "Give one in quotes.")
            return self.path.parent
        try:
            found: Path = find(value, self.path.parent, f"{self.path}: {where}")
        except BadInput as error:
            self.problems.extend(error.problems)
            return self.path.parent
        return found

    def flag(self, data: Mapping[str, Any], key: str, where: str) -> bool:
        """Whether the key is true; a problem for what is neither true nor false."""
        if not isinstance(data.get(key, False), bool):
            self.problem(where, f"{key} is {data[key]!r}", "Write true or false.")
        return data.get(key) is True

    def texts(self, data: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        """The texts of the key, none empty; () and a problem for anything else."""
        found = data.get(key, [])
        found = [found] if isinstance(found, str) else found
        if isinstance(found, list) and all(isinstance(each, str) and each for each in found):
            return tuple(found)
        self.problem(where, f"{key} must be a list of strings, got {found!r}", 'Write ["string"].')
        return ()

    def variables(self, data: Mapping[str, Any], key: str, where: str) -> FrozenDict:
        """Variables of a chat template; none and a problem for anything else."""
        try:
            return variables_of(data.get(key, {}), f"{self.path}: {where}.{key}")
        except BadInput as error:
            self.problems.extend(error.problems)
            return FrozenDict()

    def options(
        self, data: Mapping[str, Any], known: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        """The keys that are not known, for the scorer; a model's directory as `model` finds it."""
        return {
            key: str(self.model(value, f"{where}.{key}"))
            if key in MODEL_OPTIONS and value is not None
            else value
            for key, value in data.items()
            if key not in known
        }

    def marker(self, data: Mapping[str, Any], key: str, where: str) -> str:
        """The text behind which an answer stands; "" and a problem for anything else."""
        value = data.get(key, "")
        if isinstance(value, str) and (not value or value.strip()):
            return value
        self.problem(f"{where}.{key}", f"expected a string, got {value!r}", 'Write "</think>".')
        return ""

    def number(self, value: Any, where: str, low: float, high: float, kind: type = float) -> Any:
        """A number of `kind` from `low` to `high`; `low` and a problem for anything else."""
        good = is_number(value) and low <= value <= high
        if not good or (kind is int and value != int(value)):
            whole = "whole number" if kind is int else "number"
            what = f"{value!r} is not a {whole} from {low:.10g} to {high:.10g}"
            self.problem(where, what, "Give one.")
            return kind(low)
        return kind(value)
