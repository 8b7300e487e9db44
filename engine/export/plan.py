"""What an export will write, before it starts: file names, sizes, and which models it needs.

From headers, names and the study alone: the app asks this in its own process, without torch. Sizes
of weights, configuration and tokenizer are exact. Files with numbers that are not known yet (the
card, the manifest, an adapter's configuration, the decoding settings) are estimated to a few
hundred bytes and marked `about`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.bands import plain
from engine.decoding.fusion import Mixture
from engine.export.card import (
    MANIFEST,
    CardScore,
    Papers,
    manifest_text,
    papers_kind,
    readme,
    usage,
)
from engine.export.decoding_code import generate_code
from engine.export.layout import (
    SHARD,
    Planned,
    index_of,
    mended_config,
    model_files,
    plan_shards,
    plan_tensors,
    shard_header,
    side_files,
)
from engine.export.mergekit import mergekit_text
from engine.family.adapter import LoraPair
from engine.family.compatibility import Family
from engine.method import find_method
from engine.recipe import Recipe

GENERATE = "custom_generate/generate.py"
_SETTINGS = 250
"""About how many bytes the settings of a decoding folder take."""

_MODEL = 145
"""Those of each of its models, about."""

_DIGEST = "0" * 64


@dataclass(frozen=True)
class File:
    """A file to come.

    Attributes:
        name: inside the export's directory.
        about: whether the size is near rather than exact.
    """

    name: str
    bytes: int
    about: bool = False


@dataclass(frozen=True)
class Plan:
    """An export to come.

    Attributes:
        kind: "merged", "copy", "adapter" or "decoding".
        files: sorted by name.
        beside: names of the family's models that it does not hold and cannot run without, the one
            to load first in front.
        rank: of the adapter written; 0 if none is.
        asked: whether models of a decoding folder read words of their own around a prompt.
    """

    kind: str
    files: tuple[File, ...]
    beside: tuple[str, ...] = ()
    rank: int = 0
    asked: bool = False

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.files)


def plan_export(
    family: Family,
    recipe: Recipe,
    *,
    adapter: bool = False,
    study: str = "",
    scores: Sequence[CardScore] = (),
    shard: int = SHARD,
) -> Plan:
    """What an export of a resolved recipe writes.

    Args:
        adapter: as one LoRA adapter; for task arithmetic over LoRA experts alone.
        scores: like those that the card will show, for its size.
        shard: bytes of tensors in one file.
    """
    kind = papers_kind(recipe, adapter)
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rank, asked = 0, False
    if kind == "copy":
        model = family.checkpoint(str(recipe.parameters["model"]))
        files = [
            File(str(each.relative_to(model.path)), each.stat().st_size)
            for each in model_files(model.path)
        ]
        if model.adapter is not None:
            beside, rank = ("base",), _largest(each.rank for each in model.adapter.pairs.values())
    elif kind == "adapter":
        files, rank = _adapter(family, recipe)
        beside = ("base",)
    elif kind == "decoding":
        beside = runs(family, recipe)
        mixture = _mixture(family, recipe)
        files = _decoding(family, recipe, mixture)
        asked = reads_own_words(family, mixture)
        notes = (usage(beside[0], beside[1:], study, asked=asked),)
    else:
        files = _merged(family, recipe, shard)
    papers = Papers(
        study=study,
        family=family,
        recipe=recipe,
        kind=kind,
        numerics="cpu/float32/1",
        point="0" * 12,
        fingerprints=dict.fromkeys(family.models, _DIGEST),
        scores=scores,
        notes=notes,
    )
    files += [
        File("README.md", _size(readme(papers, study)), about=True),
        File(MANIFEST, _size(manifest_text(papers)), about=True),
    ]
    return Plan(kind, tuple(sorted(files, key=lambda each: each.name)), beside, rank, asked)


def runs(family: Family, recipe: Recipe) -> tuple[str, ...]:
    """The models that a logit-space recipe runs at every token, the leading one in front."""
    models = tuple(dict.fromkeys(_mixture(family, recipe).models))
    first = leading(models)
    return (first, *(name for name in models if name != first))


def reads_own_words(family: Family, mixture: Mixture) -> bool:
    """Whether a model of a mixture reads other words than the family's."""
    return any(name in family.words or other is not None for name, other in mixture.passes)


def _mixture(family: Family, recipe: Recipe) -> Mixture:
    method = find_method(recipe.method)
    found: Mixture = method.build(recipe.coefficients, family.names, **dict(recipe.parameters))
    return found


def leading(models: Sequence[str]) -> str:
    """The model whose `generate` a decoding folder is called with."""
    return next((each for each in ("target", "base") if each in models), models[0])


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _side(family: Family) -> list[File]:
    files = []
    for name, source in side_files(family):
        size = source.stat().st_size
        if name == "config.json":
            text = source.read_text(encoding="utf-8")
            mended = mended_config(family, text)
            size = size if mended == text else _size(mended)
        files.append(File(name, size))
    return files


def _merged(family: Family, recipe: Recipe, limit: int) -> list[File]:
    shards = plan_shards(plan_tensors(family), limit)
    files = [File(name, _shard_bytes(tensors)) for name, tensors in shards]
    index = index_of(shards)
    if index is not None:
        files.append(File(index[0], _size(index[1])))
    text = mergekit_text(recipe, family)
    if text is not None:
        files.append(File("mergekit_config.yml", _size(text)))
    return files + _side(family)


def _shard_bytes(tensors: Sequence[Planned]) -> int:
    return len(shard_header(tensors)) + sum(each.bytes for each in tensors)


def _adapter(family: Family, recipe: Recipe) -> tuple[list[File], int]:
    """Ranks of the experts that take part add up, module by module."""
    names = {plain(name): None for name, value in recipe.coefficients.items() if value}
    used = [family.experts[name] for name in names]
    ranks: dict[str, int] = {}
    pairs: dict[str, LoraPair] = {}
    for expert in used:
        assert expert.adapter is not None
        for name, pair in expert.adapter.pairs.items():
            if family.depth.at(recipe.coefficients, name)[expert.name]:
                ranks[name] = ranks.get(name, 0) + pair.rank
                pairs[name] = pair
    tensors = []
    for name, rank in ranks.items():
        pair = pairs[name]
        stem = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        first, second = ("A.weight", "B.weight")
        if pair.embedding:
            first, second = ("embedding_A", "embedding_B")
        tensors += [
            Planned(stem + first, "F32", (rank, pair.a.shape[1])),
            Planned(stem + second, "F32", (pair.b.shape[0], rank)),  # peft computes it in float32
        ]
    config = max((each.path / "adapter_config.json").stat().st_size for each in used)
    files = [
        File("adapter_model.safetensors", _shard_bytes(tensors)),
        File("adapter_config.json", config, about=True),
    ]
    return files, _largest(ranks.values())


def _largest(ranks: Iterable[int]) -> int:
    return max(ranks, default=0)


def _decoding(family: Family, recipe: Recipe, mixture: Mixture) -> list[File]:
    code = len(generate_code({}).encode())
    words = [family.words[name].as_dict() for name, _ in mixture.passes if name in family.words]
    said = sum(map(len, map(repr, words))) + sum(len(each or "") for each in mixture.instead)
    models = len(mixture.models)
    return [
        File(GENERATE, code + said + _SETTINGS + models * _MODEL, about=True),
        File("recipe.yaml", _size(recipe.to_yaml())),
        *_side(family),
    ]
