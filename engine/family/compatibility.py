"""Can these models be combined? Answered from headers, configurations and tokenizers alone.

    base ─┬─ expert (full)      same architecture, tensors and shapes; vocabulary rows may differ
          ├─ expert (adapter)   its modules exist in the base and have its shapes
          └─ target             any architecture, as long as its ids mean the same tokens

Every problem is collected, each with both sides of the disagreement. What this does not see:
values. Weights that are not finite are found by the pass that fingerprints them
(`engine.family.fingerprint`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.errors import BadInput, IncompatibleFamily, Problem
from engine.family.beside import beside_notes
from engine.family.checkpoint import Checkpoint, open_checkpoint
from engine.family.depth import Depth, depth_of
from engine.family.fit import align_forms
from engine.family.own_code import code_note, unknown_class
from engine.family.placing import place_adapter
from engine.family.settings import compare_config
from engine.family.structure import Structure, align_heads, align_names, merge_structure
from engine.family.ties import pairs_of
from engine.family.tokenizer import TokenizerFiles, config_end_ids
from engine.family.tokenizers import open_tokenizers, widest
from engine.family.vocabulary import VocabularyRows, tokenizer_notes
from engine.family.words import Words, words_of
from engine.recipe import FrozenDict, Names
from engine.study import FamilySpec


@dataclass(frozen=True)
class Family:
    """Models that have been found to fit together.

    Attributes:
        spec: where they lie.
        tokenizer: of the model that `tokenizer:` names; None if only weights are merged.
        rows: vocabulary rows that every model has, the target included: what fused logits are cut
            to.
        vocabulary: ids that may be chosen: those of the tokenizer, within `rows`; `rows` without a
            tokenizer.
        merged_rows: vocabulary rows of a merged model.
        tensors: names of the float tensors that weight space is about, sorted; a tied output
            projection is not in it.
        vocabulary_tensors: of these, the ones with a row a token, and how their rows are put
            together.
        tied: stored output projection -> the embedding that it is; such tensors are not merged on
            their own.
        end_ids: ids that end a text.
        words: of each model that has its own around its prompts.
        notes: what is allowed but worth knowing, as sentences.
    """

    spec: FamilySpec
    base: Checkpoint
    experts: Mapping[str, Checkpoint]
    target: Checkpoint | None
    tokenizer: TokenizerFiles | None
    rows: int
    vocabulary: int
    merged_rows: int
    tensors: tuple[str, ...]
    vocabulary_tensors: Mapping[str, VocabularyRows] = field(default_factory=FrozenDict)
    tied: Mapping[str, str] = field(default_factory=FrozenDict)
    end_ids: frozenset[int] = frozenset()
    words: Mapping[str, Words] = field(default_factory=FrozenDict)
    notes: tuple[str, ...] = ()

    @cached_property
    def names(self) -> Names:
        """Whom recipes may speak of, and into how many bands the layers can be cut."""
        depth = self.depth
        return replace(self.spec.names, layers=depth.layers, no_layers=depth.why)

    @cached_property
    def depth(self) -> Depth:
        """Which layers the tensors of weight space lie in."""
        base = self.base
        embedding = () if base.embedding is None else (base.embedding,)
        heads = base.heads if base.tied else ()
        return depth_of(self.tensors, {*base.towers, *embedding, *heads})

    @property
    def models(self) -> dict[str, Checkpoint]:
        """Every model by name, in the order of `Names.models`."""
        target = {} if self.target is None else {"target": self.target}
        return {"base": self.base, **target, **self.experts}

    def tensors_of(self, model: Checkpoint) -> tuple[str, ...]:
        """The tensors of weight space that a model stands for: an adapter for those of the base,
        another model for those that it has."""
        stored = (self.base if model.is_adapter else model).tensors
        return tuple(name for name in self.tensors if name in stored)

    @property
    def has_chat_template(self) -> bool:
        """Whether the family's tokenizer has a chat template."""
        return self.tokenizer is not None and self.tokenizer.chat_template is not None

    def checkpoint(self, name: str) -> Checkpoint:
        """A model by its name; raises `BadInput` with near matches."""
        self.spec.path_of(name)
        return self.models[name]


class _Inspection:
    """Collects the problems of one family."""

    def __init__(self, spec: FamilySpec, text: bool, ids: bool, layers: bool) -> None:
        self.spec = spec
        self.text = text
        self.ids = ids
        self.layers = layers
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(where, what, fix))

    def open(self, name: str) -> Checkpoint | None:
        try:
            found = open_checkpoint(self.spec.path_of(name), name)
        except BadInput as error:
            self.problems.extend(error.problems)
            return None
        where = f"{name} ({found.path})"
        if name in ("base", "target") and found.is_adapter:
            self.problem(
                where,
                "an adapter cannot be the " + name,
                "Give the model that it was trained on.",
            )
            return None
        if found.kind == "raw" and (self.text or name == "target"):
            self.problem(
                where,
                "a raw state dict has no config and no tokenizer: it can be merged, not run",
                "Give a Hugging Face directory, or use the command `merge`.",
            )
        if found.kind == "full":
            self.class_and_head(found)
        return found

    def class_and_head(self, model: Checkpoint) -> None:
        """What to know of a full model's class and of its output projection."""
        where = f"{model.name} ({model.path})"
        if model.ties.own:
            self.notes.append(
                f"{model.name}: config.json ties {model.ties.own[0]} to the embedding, but another "
                "is stored; it stays untied, as in transformers."
            )
        self.notes += code_note(model)
        if self.text:
            self.problems += unknown_class(model)
        named = any(name.endswith("head.weight") for name in model.tensors)  # renamed on loading
        if self.text and not (model.tied or model.heads or named) and pairs_of(model.config):
            self.problem(
                where,
                f"its output projection ({next(iter(pairs_of(model.config)))}) is not stored, and "
                "config.json does not tie it to the embedding",
                "Set tie_word_embeddings to the value used in training, or download the weights "
                "again.",
            )

    def tokenizers(self, models: Mapping[str, Checkpoint]) -> dict[str, TokenizerFiles]:
        """The tokenizers that are there; a problem for each that ought to be."""
        found = open_tokenizers(models, self.spec, self.text, self.ids)
        self.problems += found.problems
        self.notes += found.notes
        return found.files

    def run(self) -> Family | None:
        """The family, or None if problems were found."""
        opened = {name: self.open(name) for name in self.spec.names.models}
        models = {name: each for name, each in opened.items() if each is not None}
        tokenizers = self.tokenizers(models)
        base, target = models.get("base"), models.get("target")
        if base is None:
            return None
        experts: dict[str, Checkpoint] = {}
        for name in self.spec.experts:
            if name not in models:
                continue
            expert = models[name]
            try:
                if expert.is_adapter:
                    expert = place_adapter(base, expert)
                elif expert.kind == "full" and base.kind == "full":
                    self.notes += compare_config(base, expert, self.layers)
                if not expert.is_adapter:
                    expert = align_heads(base, align_names(base, expert))
                    expert = align_forms(base, expert)
            except BadInput as error:
                self.problems.extend(error.problems)
            experts[name] = expert
        structure = merge_structure(base, experts, self.spec.towers == "merge", self.layers)
        self.notes += beside_notes(base, self.spec.towers)
        self.problems.extend(structure.problems)
        merged_rows = structure.rows or base.rows
        if not self.spec.tokenizer:
            self.spec = replace(self.spec, tokenizer=widest(tokenizers, merged_rows))
        chosen = tokenizers.get(self.spec.tokenizer)
        if chosen is not None and merged_rows and chosen.size > merged_rows:
            self.problem(
                f"tokenizer of {self.spec.tokenizer} ({chosen.path})",
                f"it has {chosen.size} ids but the merged model has {merged_rows} vocabulary rows",
                "Set `tokenizer:` to a model whose ids all have rows, or add the expert that has "
                "them.",
            )
        words, unread = words_of(self.spec)
        self.problems += unread
        if self.problems:
            return None
        if chosen is not None:
            self.notes += tokenizer_notes(tokenizers, self.spec.tokenizer, words)
            self.notes += [each.note for each in words.values()]
        found = self._family(base, experts, target, chosen, structure, merged_rows)
        return replace(found, words=FrozenDict(words))

    def _family(
        self,
        base: Checkpoint,
        experts: dict[str, Checkpoint],
        target: Checkpoint | None,
        chosen: TokenizerFiles | None,
        structure: Structure,
        merged_rows: int,
    ) -> Family:
        sized = [base, *([] if target is None else [target]), *experts.values()]
        rows = min((each.rows for each in sized if each.rows), default=0)
        end_ids = frozenset[int]()
        if chosen is not None:
            end_ids = chosen.end_ids
            if (self.spec.tokenizer in experts) and experts[self.spec.tokenizer].is_adapter:
                end_ids |= config_end_ids(base.path)
                chosen = replace(chosen, end_ids=end_ids)
            if chosen.size > rows:
                short = [
                    each.name
                    for each in sized
                    if each.rows < chosen.size and (each.rows or not each.is_adapter)
                ]
                self.notes.append(
                    f"{', '.join(short)}: fewer rows than the tokenizer has ids ({chosen.size})."
                )
        return Family(
            spec=self.spec,
            base=base,
            experts=FrozenDict(experts),
            target=target,
            tokenizer=chosen,
            rows=rows,
            vocabulary=rows if chosen is None else min(rows, chosen.size),
            merged_rows=merged_rows,
            tensors=structure.tensors,
            vocabulary_tensors=FrozenDict(structure.vocabulary),
            tied=FrozenDict(structure.tied),
            end_ids=end_ids,
            notes=tuple(self.notes),
        )


def inspect_family(
    spec: FamilySpec, *, text: bool = True, ids: bool = True, layers: bool = True
) -> tuple[Family | None, list[Problem]]:
    """(the family, its problems): None if there is any, and then every one of them.

    Args:
        text: the family is to be run, so it needs configurations and a tokenizer; without it only
            weights have to fit, and raw state dicts are welcome (the command `merge`).
        ids: an id has to mean the same token to all; not where rows are put in another order.
        layers: all need as many layers; not where layers are taken one by one.
    """
    inspection = _Inspection(spec, text, ids, layers)
    return inspection.run(), inspection.problems


def open_family(
    spec: FamilySpec, *, text: bool = True, ids: bool = True, layers: bool = True
) -> Family:
    """Open every model by its headers and check that they fit together.

    Args:
        text, ids, layers: as for `inspect_family`.

    Raises:
        IncompatibleFamily: carries every problem found.
    """
    family, problems = inspect_family(spec, text=text, ids=ids, layers=layers)
    if family is None:
        raise IncompatibleFamily(*problems)
    return family
