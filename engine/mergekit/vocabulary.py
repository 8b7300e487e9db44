"""Rows of embeddings and heads put in the order of one tokenizer's tokens.

    token of the result      every model has it     its own row in each
                             a model lacks it       the base's row, if the base has it; else the
                                                    one of the only model that has it; else the
                                                    mean of those of all that have it
                             no model has it        zeros

The result has a row for each token and no padding.
Source: mergekit 0.1.5, `tokenizer/embed.py` and `tokenizer/build.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import bad
from engine.family.compatibility import Family
from engine.family.ties import HEADS
from engine.family.tokenizer import TokenizerFiles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the result and where the models have them.

    Attributes:
        tokens: of the result, by id.
        rows: model of the family -> its row of each token, -1 where it has none.
        tensors: embeddings and heads, which have a row a token.
    """

    tokens: tuple[str, ...]
    rows: Mapping[str, Sequence[int]]
    tensors: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.tokens)

    def aligned(self, tensors: Mapping[str, Tensor], base: str | None) -> dict[str, Tensor]:
        """Every model's tensor with a row for each token of the result.

        Args:
            tensors: by model of the family, of one type, all rows that the model stores.
            base: the model that differences are taken to.
        """
        import torch

        first = next(iter(tensors.values()))
        places = torch.tensor([self.rows[model] for model in tensors], device=first.device)
        found = {
            model: tensor[own.clamp(min=0)]
            for own, (model, tensor) in zip(places, tensors.items(), strict=True)
        }
        models = list(tensors)
        for token in (places < 0).any(0).nonzero().flatten().tolist():
            having = [model for model in models if self.rows[model][token] >= 0]
            if len(having) != 1 and base in having:
                having = [base]
            row = torch.zeros_like(first[0])
            for model in having:
                row = row + found[model][token]
            if len(having) > 1:
                row = row / len(having)
            for model in models:
                if self.rows[model][token] < 0:
                    found[model][token] = row
        return found


def tokens_of(files: TokenizerFiles, rows: int, where: str) -> tuple[str, ...]:
    """The tokens of a tokenizer by id; raises `BadInput` where ids have gaps or no rows."""
    size = len(files.tokens)
    if files.size != size:
        what = f"its tokenizer has {size} tokens with ids up to {files.size - 1}"
        raise bad(where, what, "Use a tokenizer whose ids have no gaps.")
    if size > rows:
        what = f"its tokenizer has {size} tokens and its embedding {rows} rows"
        raise bad(where, what, "Use a tokenizer whose tokens all have rows.")
    return tuple(files.tokens[number] for number in range(size))


def align(family: Family, files: Mapping[str, TokenizerFiles], tokens: Sequence[str]) -> Vocabulary:
    """Where each model has the tokens of the result.

    Args:
        files: tokenizers by model; one without has that of the base.
    """
    rows = {}
    for name, model in family.models.items():
        own = files.get(name) or files["base"]
        ids = {token: number for number, token in own.tokens.items()}
        count = model.rows or family.base.rows
        found = (ids.get(token, -1) for token in tokens)
        rows[name] = [number if number < count else -1 for number in found]
    base = family.base
    named = {*base.heads, *(name for name in base.tensors if HEADS.search(name))}
    named |= set() if base.embedding is None else {base.embedding}
    return Vocabulary(tuple(tokens), rows, frozenset(named & set(family.tensors)))
