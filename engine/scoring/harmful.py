"""The rows that merged weights are pruned on: those of an objective, as models read them.

    a row with a target or a right choice     prompt + target, each as it is scored elsewhere
    a row with neither                        the prompt alone

Only the explored rows count, after `limit`; what is held back stays unseen. A chat template writes
the prompt, and the end token follows the target, exactly where they do for an evaluation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace

from engine.errors import bad, unknown
from engine.family.compatibility import Family
from engine.recipe import Names
from engine.scoring.data import Row, data_file, read_rows
from engine.scoring.encoding import Halves, TextCodec, delimiter, encoder, templated
from engine.scoring.registry import check_objective
from engine.study import Objective, Study

_MIXTURE = re.compile(r"(?:^|[._])(?:experts|block_sparse_moe)[._]")
"""In names of stored tensors: layers of experts. Every class whose experts are stacked has it."""

_EXPERTS = "experts"
"""In the digest where a model has experts: before they were pruned, the same rows made others."""


class ObjectiveRows:
    """The rows of a study's objectives, read when they are asked for.

    Args:
        tokenizer_hash: fingerprint of tokenizer, chat template and generation_config.
        experts: whether the rows reach the experts of a mixture.
    """

    def __init__(
        self, objectives: Iterable[Objective], tokenizer_hash: str, experts: bool = False
    ) -> None:
        self._experts = experts
        self._objectives = {each.name: each for each in objectives if each.data is not None}
        self._tokenizer_hash = tokenizer_hash
        self._known: dict[str, tuple[tuple[Row, ...], str]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Objectives that have rows."""
        return tuple(self._objectives)

    def digest(self, objective: str, variant: str) -> str:
        """12 hex digits over all that a model reads of an objective's rows, in any order.

        Raises:
            BadInput: there is no such objective; its data cannot be read; the variant measures a
                loss, and a row has nothing that it could be of.
        """
        mine, rows = self._rows(objective)
        if variant == "gradient":
            lacking = next((row for row in rows if not _follows(row)), None)
            if lacking is not None:
                what = "the variant gradient needs a target, and this row has none"
                fix = "Use variant: activation, or an objective with targets."
                raise bad(lacking.place(data_file(mine, "explore")), what, fix)
        known = self._known.get(objective)
        if known is None or known[0] != rows:
            known = self._known[objective] = (rows, self._digest(mine, rows))
        return known[1]

    def texts(self, objective: str, digest: str, text: TextCodec) -> list[Halves]:
        """(prompt, what follows) of each row as token ids, in an order of their own.

        Raises:
            BadInput: the rows are no longer those of this digest, or a row cannot be encoded.
        """
        mine, rows = self._rows(objective)
        if self.digest(objective, "activation") != digest:
            what = f"the rows of {objective} have changed while the recipe was being used"
            raise bad("prune", what, "Ask again.")
        codec = encoder(text)
        codec.render(rows, mine)
        found = []
        for row in rows:
            if row.choices and row.answer is not None:
                found.append(codec.pair(row, mine, row.choices[row.answer]))
            elif row.targets:
                found.append(codec.target(row, mine))
            else:
                found.append((codec.prompt(row, mine), ()))
        return sorted(found)

    def _rows(self, name: str) -> tuple[Objective, tuple[Row, ...]]:
        if name not in self._objectives:
            raise unknown("prune: objective", "objective with rows", name, self.names)
        objective = check_objective(self._objectives[name])
        return objective, read_rows(objective, "explore")

    def _digest(self, objective: Objective, rows: Iterable[Row]) -> str:
        read = sorted(_read(row, objective) for row in rows)
        whole = [read, self._tokenizer_hash, objective.template_kwargs]
        whole += [_EXPERTS] * self._experts
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _follows(row: Row) -> str:
    """What stands behind the prompt: the right choice, the first target, or nothing."""
    if row.choices and row.answer is not None:
        return row.choices[row.answer]
    return row.targets[0] if row.targets else ""


def _read(row: Row, objective: Objective) -> str:
    """All that makes a row's text, as one."""
    follows = _follows(row)
    prompt = row.prompt if row.messages is None else list(row.messages)
    between = delimiter(row, objective, follows) if follows else ""
    said = [prompt, templated(row, objective), between, bool(row.choices), follows]
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def rows_of(study: Study, family: Family, tokenizer_hash: str) -> ObjectiveRows:
    """The rows of a study's objectives, as the models of its family read them."""
    experts = any(_MIXTURE.search(name) for name in family.base.tensors)
    return ObjectiveRows(study.objectives, tokenizer_hash, experts)


def names_in(study: Study, family: Family) -> Names:
    """What recipes may speak of in a study: its models, and the objectives that have rows."""
    tokenizer = "" if family.tokenizer is None else family.tokenizer.hash
    return replace(family.names, rows=rows_of(study, family, tokenizer))
