"""Merge files: a recipe with its models beside it, or a mergekit YAML, merged straight to disk.

    base: models/base                 directories, or single .safetensors files (raw state dicts)
    experts: {helpful: models/helpful}
    method: pcb
    coefficients: {helpful: 1.0}

Nothing of a study is needed: no tokenizer, no data. Relative paths are relative to the file. The
output has the tokenizer of the model that `tokenizer:` names, else of the one with most tokens, so
that every row of its vocabulary has its token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.counted import size_text
from engine.errors import BadInput, Problem, bad, unknown
from engine.export.checkpoint import Coefficients, merge_to
from engine.export.directory import check_output, recording_in
from engine.export.layout import SHARD
from engine.export.yaml_merge import YamlPlan, merge_yaml, plan_yaml
from engine.family.compatibility import Family, open_family
from engine.family.device import DTYPES, pick_device
from engine.family.fingerprint import fingerprints
from engine.merging.basis import CHUNK, Basis, Tensors, nothing
from engine.merging.stream import SAMPLE
from engine.merging.sums import QUANTUM
from engine.method import find_method
from engine.recipe import RECIPE_KEYS, recipe_from_dict, resolve
from engine.study import RESERVED_NAMES, TOWERS, FamilySpec
from engine.study_file import model_of, naming_problems
from engine.yaml_reading import Document, read_document

_COPIES = 14  # float32 copies of the largest matrix beside the merge, where it is taken apart

_SEVERAL = (
    "Put each into a file of its own, without its out_path or name, and merge them in order, each "
    "to the directory that later ones read."
)

_KEYS = ("base", "experts", *RECIPE_KEYS, "towers", "tokenizer")


@dataclass(frozen=True)
class MergePlan:
    """What a merge file asks for, checked against its models' headers.

    Attributes:
        build: makes the basis on tensors.
        coefficients: by tensor name.
        matrices: whether whole matrices are taken apart.
        selects: whether thresholds are found first.
    """

    family: Family
    build: Callable[[Tensors], Basis]
    coefficients: Coefficients
    matrices: bool = False
    selects: bool = False

    def working_memory(self) -> int:
        """Bytes that a streamed merge holds at its worst."""
        return working_memory(self.family, self.matrices, self.selects)


def read_mergefile(file: Path) -> MergePlan | YamlPlan:
    """The plan of a merge file or mergekit YAML; opens headers only.

    Raises:
        BadInput: not YAML, keys missing or unknown, models that do not fit together.
    """
    document = read_document(file, _SEVERAL)
    data = document.data
    if not isinstance(data, Mapping):
        what = f"not a merge file: expected a mapping, got {type(data).__name__}"
        raise bad(str(file), what, "Give the keys base, experts, method and coefficients.")
    if "merge_method" not in data:
        return _from_recipe(data, file)
    _check_versions(document, file)
    return plan_yaml(data, file)


def _check_versions(document: Document, file: Path) -> None:
    """Refuse what mergekit, which reads YAML 1.1, takes for another value than YAML 1.2 has."""
    fix = "Write the intended number, or true or false, or put the string in quotes."
    what = "mergekit reads {!r} as YAML 1.1, where it has a different value than in YAML 1.2"
    if document.doubtful:
        raise BadInput(
            *(Problem(f"{file}:{n}", what.format(text), fix) for n, text in document.doubtful)
        )


def _from_recipe(data: Mapping[str, Any], file: Path) -> MergePlan:
    problems: list[Problem] = []
    for key in data:
        if key not in _KEYS:
            problems.extend(unknown(str(file), "key of a merge file", str(key), _KEYS).problems)
    base, experts = data.get("base"), data.get("experts")
    if not isinstance(base, str):
        problems.append(Problem(str(file), "the key 'base' is missing", "Name the base model."))
    if not isinstance(experts, Mapping) or not experts:
        problems.append(
            Problem(
                str(file), "the key 'experts' is missing", "Write name: directory for each expert."
            )
        )
    elif not all(isinstance(each, str) for each in experts.values()):
        problems.append(Problem(f"{file}: experts", "every expert needs a path", "name: directory"))
    for name in experts if isinstance(experts, Mapping) else ():
        problems.extend(naming_problems(name, f"{file}: experts", "an expert", RESERVED_NAMES))
    towers = data.get("towers", "base")
    if towers not in TOWERS:
        problems.extend(unknown(f"{file}: towers", "choice", str(towers), TOWERS).problems)
    tokenizer = data.get("tokenizer", "")
    names = (
        ("base", *(str(name) for name in experts)) if isinstance(experts, Mapping) else ("base",)
    )
    if "tokenizer" in data and tokenizer not in names:
        problems.extend(unknown(f"{file}: tokenizer", "model", str(tokenizer), names).problems)
    if problems:
        raise BadInput(*problems)
    assert isinstance(base, str) and isinstance(experts, Mapping)
    spec = FamilySpec(
        model_of(base, file.parent, f"{file}: base"),
        {
            str(name): model_of(path, file.parent, f"{file}: experts.{name}")
            for name, path in experts.items()
        },
        tokenizer=str(tokenizer),
        towers=str(towers),
    )
    recipe = recipe_from_dict(
        {key: data[key] for key in RECIPE_KEYS if key in data},
        str(file),
    )
    method = find_method(recipe.method, str(file))
    if method.space != "weight":
        what = f"{method.name} does not merge weights"
        raise bad(f"{file}: method", what, "Use a weight-space method, or `export` a point.")
    recipe = resolve(recipe, spec.names, str(file))
    family = open_family(spec, text=False)
    recipe = resolve(recipe, family.names, str(file))  # again, now that its layers are known
    if tokenizer and family.tokenizer is None:
        what = f"{tokenizer} ({spec.path_of(str(tokenizer))}) has no readable tokenizer"
        raise bad(f"{file}: tokenizer", what, "Name another model, or copy a tokenizer there.")
    structural = method.structural(recipe.parameters)
    strength = float(recipe.parameters.get("strength", 1.0))
    coefficients = {name: value * strength for name, value in recipe.coefficients.items()}
    return MergePlan(
        family,
        lambda tensors: method.build(tensors, **structural),
        lambda tensor: family.depth.at(coefficients, tensor),
        method.matrices,
        not (method.additive or method.simplex),
    )


def working_memory(family: Family, matrices: bool = False, selects: bool = False) -> int:
    """Bytes a streamed merge holds at its worst: parts of a tensor, a few chunks an expert, and
    where whole tensors are needed, the largest.

    Args:
        matrices: whether matrices are taken apart: their factors, and what LAPACK works in.
        selects: whether thresholds are found first, from a sample.
    """
    largest = max(family.base.tensors[name].count for name in family.tensors)
    experts = len(family.experts)
    # what an adapter adds to a tensor is made whole, and so is a matrix that is taken apart
    copies = 3 * sum(each.is_adapter for each in family.experts.values())
    copies += (3 + experts + _COPIES) * matrices
    held = 4 * QUANTUM + 6 * CHUNK * (1 + experts) + 4 * SAMPLE * experts * selects
    return 4 * (held + largest * copies)


def merge(
    file: Path,
    out: Path,
    *,
    dtype: str = "base",
    shard: int = SHARD,
    memory: int | None = None,
    device: str = "auto",
    workspace: Path,
    tick: Callable[[], None] = nothing,
) -> dict[str, Any]:
    """Merge what a file asks for into a directory.

    Args:
        dtype: "base" for the checkpoint's own (or a mergekit file's), else float32, bfloat16,
            float16.
        shard: bytes of a file.
        memory: limit in bytes on what the merge holds; it streams, one tensor at a time.

    Returns:
        {"out", "files", "seconds"}.

    Raises:
        BadInput: anything wrong with the file, its models or the output, before heavy work.
    """
    start = time.monotonic()
    if dtype != "base" and dtype not in DTYPES:
        raise unknown("--dtype", "dtype", dtype, ("base", *DTYPES))
    check_output(out)
    chosen = pick_device(device)
    plan = read_mergefile(file)
    needed = plan.working_memory()
    if memory is not None and needed > memory:
        what = f"this merge needs about {size_text(needed)} of memory"
        raise bad("--memory", what, f"Allow at least that; {size_text(memory)} were allowed.")
    known = partial(fingerprints, plan.family, workspace, tick)  # of all bytes: only where needed
    wanted = None if dtype == "base" else DTYPES[dtype]
    with recording_in(workspace):
        if isinstance(plan, YamlPlan):
            files = merge_yaml(
                plan, out, dtype=wanted, shard=shard, device=chosen, fingerprints=known, tick=tick
            )
        else:
            basis = plan.build(Tensors(plan.family, chosen, tick, None, known, check=True))
            files = merge_to(out, basis, plan.coefficients, dtype=wanted, shard=shard)
    return {"out": str(out), "files": files, "seconds": round(time.monotonic() - start, 3)}
