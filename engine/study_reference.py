"""References: models that are scored like those of the family and never mixed.

    references:
      all_data: models/all          # trained on everything at once, say
      rival: adapters/rival         # an adapter stands on the study's base

Each is a family of its own with one model, with its own tokenizer and chat template, so that it is
fed as it would be served; no recipe of the study knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import unknown
from engine.recipe import FrozenDict
from engine.study_family import RESERVED_NAMES, FamilySpec
from engine.study_file import Reader

if TYPE_CHECKING:
    from engine.study import Study


def reference_paths(reader: Reader, data: Any, experts: Sequence[str]) -> dict[str, Path]:
    """The value of `references:`; problems go to the reader.

    Args:
        experts: names that the family has.
    """
    found = {}
    for name, value in reader.mapping({} if data is None else data, "references").items():
        where = f"references.{name}"
        reader.name(name, where, "a reference", (*RESERVED_NAMES, *experts))
        found[name] = reader.model(value, where)
    return found


def reference_study(study: Study, name: str) -> tuple[Study, str]:
    """A reference as a study of its own, and what its one model is called there.

    Raises:
        BadInput: the study has no reference of this name.
    """
    if name not in study.references:
        raise unknown(str(study.path), "reference", name, list(study.references))
    path = study.references[name]
    if (path / "adapter_config.json").is_file():
        spec, model = FamilySpec(study.family.base, {name: path}), name
    else:
        spec, model = FamilySpec(path, {}), "base"
    alone = replace(study, family=spec, ranges=FrozenDict(), criteria=None, references=FrozenDict())
    return alone, model
