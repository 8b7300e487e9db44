"""A mergekit YAML as it stands: which models, slices and settings; nothing is opened.

    models:   every model with all its layers       ──► one slice of all of them
    slices:   stacks of layers, each with its sources ──► as they are

What is not read here is refused by name, with the reason: mergekit itself passes over keys that it
does not know, and a misspelt one would change the result silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad, unknown
from engine.mergekit.document import MergeFile, Slice, Source
from engine.mergekit.levels import check_setting
from engine.mergekit.method import find_merge
from engine.study_file import model_of

KEYS = (
    "merge_method", "models", "slices", "base_model", "parameters", "dtype", "out_dtype",
    "tokenizer_source", "tokenizer", "chat_template",
)  # fmt: skip
_MODEL_KEYS = ("model", "parameters")
_SOURCE_KEYS = ("model", "layer_range", "parameters")
_SLICE_KEYS = ("sources", "base_model", "parameters")
REFUSED = {
    "modules": "only models: and slices: are read",
    "residual_weight": "mergekit reads it and makes nothing of it",
    "out_path": "the directory of the result is given to the command",
    "name": "each file is one merge, whose directory is given to the command",
}
"""Keys of mergekit's that are refused, and why."""

DTYPES = ("float32", "bfloat16", "float16")


class _Reading:
    """Collects the problems of one file."""

    def __init__(self, data: Mapping[str, Any], file: Path) -> None:
        self.data = data
        self.file = file
        self.problems: list[Problem] = []
        self.merge = find_merge(str(data.get("merge_method")), f"{file}: merge_method")
        self.names: dict[Path, str] = {}

    def problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(f"{self.file}: {where}", what, fix))

    def known(self, data: Mapping[str, Any], keys: tuple[str, ...], where: str = "") -> None:
        """A problem for every key that is not read."""
        place = f"{where}." if where else ""
        for key in map(str, data):
            if key in keys:
                continue
            if key in REFUSED:
                self.problem(f"{place}{key}", f"it is not supported: {REFUSED[key]}", "Remove it.")
            else:
                found = unknown(f"{self.file}: {where}".rstrip(": "), "key read here", key, keys)
                self.problems += found.problems

    def model(self, value: Any, where: str) -> str | None:
        """The name of the model that lies there; None, and a problem, where it cannot be told."""
        place = f"{self.file}: {where}"
        if not isinstance(value, str) or not value:
            self.problem(where, f"expected a path, got {value!r}", "Give a directory.")
            return None
        try:
            path = model_of(value, self.file.parent, place)
            whole, plus, adapter = value.partition("+")
            if plus and not path.exists():
                base = self.data.get("base_model")
                path = model_of(adapter, self.file.parent, place)
                if base is None or whole != base or "+" in adapter:
                    what = f"{value!r} is an adapter of another model than base_model"
                    raise bad(place, what, "Merge it into its model first, or name that as base.")
        except BadInput as error:
            self.problems += error.problems
            return None
        if path not in self.names:
            self.names[path] = f"{path.name or 'model'}-{len(self.names)}"
        return self.names[path]

    def settings(self, data: Any, where: str, shared: bool = False) -> dict[str, Any]:
        """Parameters of one level, each checked.

        Args:
            shared: whether they stand above a model, where those of the merge count too.
        """
        if data is not None and not isinstance(data, Mapping):
            self.problem(where, f"expected a mapping, got {data!r}", "Write name: value.")
            return {}
        each = {one.name: one for one in self.merge.each}
        merge = {one.name: one for one in self.merge.shared}
        found: dict[str, Any] = {}
        for name, value in (data or {}).items():
            if name in self.merge.ignored or value is None:
                continue
            if name in merge and not shared:
                what = f"{name} is a parameter of the whole merge, not of a model"
                self.problem(f"{where}.{name}", what, "Move it to the parameters of the file.")
                continue
            parameter = each.get(name) or merge.get(name)
            try:
                if parameter is None:
                    known = (*each, *(merge if shared else ()))
                    raise unknown(f"{self.file}: {where}", "parameter read here", name, known)
                check_setting(value, parameter.check, f"{self.file}: {where}.{name}")
            except BadInput as error:
                self.problems += error.problems
                continue
            found[name] = value
        return found

    def rows(self, data: Any, where: str, what: str) -> list[tuple[str, Mapping[str, Any]]]:
        """(place, mapping) of every entry of a list."""
        if not isinstance(data, list) or not data:
            self.problem(where, f"no {what} are listed", f"List them under {where}.")
            return []
        found = []
        for index, row in enumerate(data):
            if isinstance(row, Mapping):
                found.append((f"{where}[{index}]", row))
            else:
                self.problem(f"{where}[{index}]", f"expected a mapping, got {row!r}", "name: value")
        return found

    def source(self, row: Mapping[str, Any], where: str, ranged: bool) -> Source | None:
        self.known(row, _SOURCE_KEYS if ranged else _MODEL_KEYS, where)
        parameters = self.settings(row.get("parameters"), f"{where}.parameters")
        if "model" not in row:
            self.problem(where, "the key 'model' is missing", "Give a directory.")
            return None
        model = self.model(row["model"], f"{where}.model")
        layers = self.layers(row.get("layer_range"), where) if ranged else None
        return None if model is None else Source(model, layers, parameters)

    def layers(self, value: Any, where: str) -> tuple[int, int]:
        good = (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
            and 0 <= value[0] < value[1]
        )
        if not good:
            what = f"{value!r} is not a range of layers"
            fix = "Write [first, one past the last], as [0, 16]."
            self.problem(f"{where}.layer_range", what, fix)
            return (0, 1)
        return value[0], value[1]

    def sources(self, data: Any, where: str, ranged: bool) -> tuple[Source, ...]:
        found: list[Source] = []
        for place, row in self.rows(data, where, "sources" if ranged else "models"):
            source = self.source(row, place, ranged)
            if source is None:
                continue
            if source.model in {each.model for each in found}:
                what = "this model is listed twice; mergekit refuses that"
                self.problem(f"{place}.model", what, "List it once, with both weights added.")
            found.append(source)
        lengths = {each.layers[1] - each.layers[0] for each in found if each.layers}
        if len(lengths) > 1:
            what = f"the sources have {sorted(lengths)} layers; a slice needs as many of each"
            self.problem(where, what, "Make the ranges equally long.")
        return tuple(found)

    def slices(self) -> tuple[Slice, ...]:
        found = []
        for where, row in self.rows(self.data["slices"], "slices", "slices"):
            self.known(row, _SLICE_KEYS, where)
            base = row.get("base_model")
            named = None if base is None else self.model(base, f"{where}.base_model")
            parameters = self.settings(row.get("parameters"), f"{where}.parameters", shared=True)
            sources = self.sources(row.get("sources"), f"{where}.sources", ranged=True)
            found.append(Slice(sources, named, parameters))
        return tuple(found)

    def text(self, key: str, choices: tuple[str, ...] | None = None) -> str | None:
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(key, f"expected a text, got {value!r}", "Put it in quotes.")
        elif choices is not None and value not in choices:
            self.problems += unknown(f"{self.file}: {key}", "dtype", value, choices).problems
        else:
            return value
        return None

    def tokenizer(self) -> str | None:
        """The tokenizer of the result, from either of the two keys that mergekit has for it."""
        source, table = self.data.get("tokenizer_source"), self.data.get("tokenizer")
        where = "tokenizer_source"
        if table is not None:
            if source is not None:
                self.problem("tokenizer", "tokenizer_source is given too", "Keep one of them.")
            if not isinstance(table, Mapping):
                self.problem("tokenizer", f"expected a mapping, got {table!r}", "Write source: …")
                return None
            self.known(table, ("source",), "tokenizer")
            source, where = table.get("source", "union"), "tokenizer.source"
        if source in (None, "base", "union"):
            return source
        before = len(self.names)
        name = self.model(source, where)
        if name is not None and len(self.names) > before:
            what = f"{source} is not one of the models that are merged"
            self.problem(where, what, "Name one of them.")
        return name

    def run(self) -> MergeFile:
        data = self.data
        self.known(data, KEYS)
        base = data.get("base_model")
        named = None if base is None else self.model(base, "base_model")
        given = [key for key in ("models", "slices") if data.get(key) is not None]
        whole = given != ["slices"]
        parameters = self.settings(data.get("parameters"), "parameters", shared=True)
        if len(given) == 2:
            self.problem("slices", "models are given too", "Keep one of the two.")
            slices: tuple[Slice, ...] = ()
        elif whole:
            sources = self.sources(data.get("models"), "models", ranged=False)
            if named is not None and named not in {each.model for each in sources}:
                sources = (*sources, Source(named))
            slices = (Slice(sources),)
        else:
            slices = self.slices()
        tokenizer = self.tokenizer()
        dtype, out_dtype = self.text("dtype", DTYPES), self.text("out_dtype", DTYPES)
        template = self.text("chat_template")
        if not self.problems:
            self.check_bases(slices, named)
        if self.problems:
            raise BadInput(*self.problems)
        return MergeFile(
            self.merge, {name: path for path, name in self.names.items()}, slices, named, whole,
            str(self.file), parameters, dtype, out_dtype, tokenizer, template,
        )  # fmt: skip

    def check_bases(self, slices: tuple[Slice, ...], base: str | None) -> None:
        """Refuse slices whose number of models, or whose base, the method cannot take."""
        for index, each in enumerate(slices):
            where = f"{self.file}: " + ("models" if "models" in self.data else f"slices[{index}]")
            own = each.base or base
            plain = self.merge.base == "plain"
            listed = own in {source.model for source in each.sources}
            if own is not None and not plain and not listed:
                what = "the base is not among the sources of this slice; mergekit refuses that"
                self.problems += bad(where, what, "List it there, with its layer_range.").problems
                continue
            count = len(each.sources) - (listed and not plain)
            try:
                self.merge.check_models(count, listed, where)
            except BadInput as error:
                self.problems += error.problems


def read_mergekit(data: Mapping[str, Any], file: Path) -> MergeFile:
    """What a parsed mergekit YAML says.

    Raises:
        BadInput: a method, key, parameter or value that is not read here, each by name.
    """
    return _Reading(data, file).run()
