"""The input of the decode loop: something that can be run, prompts, and how they are batched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from engine.decoding.fusion import Mixture
from engine.errors import bad

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Tick = Callable[[], None]

Prompts = Sequence[Sequence[int]]
"""Token ids, a list a row."""

Own = Mapping[int, Prompts]
"""Place of a module -> what it reads instead of the prompts that the others read, a list a row."""

NONE_OWN: Own = MappingProxyType({})
"""All modules read the same."""


class Fused(Protocol):
    """Anything that can be run: `engine.compose.ComposedModel`, or anything with this interface.

    Attributes:
        modules: one per model of the mixture, in its order; a single one if `mixture` is None.
        mixture: None runs the module as transformers would: its own logits, neither masked nor
            widened.
        vocabulary: ids from this one on are masked after combining; None masks none.
        rows: every model's logits are cut to this many ids; None leaves them.
    """

    @property
    def modules(self) -> tuple[PreTrainedModel, ...]: ...
    @property
    def mixture(self) -> Mixture | None: ...
    @property
    def vocabulary(self) -> int | None: ...
    @property
    def rows(self) -> int | None: ...


@dataclass(frozen=True)
class Bucket:
    """The canonical shape of a batch.

    Attributes:
        rows: prompts per batch.
        multiple: a batch is padded to a multiple of this many columns.
        tokens: most rows × columns of a batch, except that one row always fits; None sets no limit.
        equal: a batch holds prompts of one length only.
        horizon: a row that may take more columns than this is a batch of its own; None: no limit.
    """

    rows: int = 64
    multiple: int = 16
    tokens: int | None = None
    equal: bool = False
    horizon: int | None = None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.multiple < 1:
            raise ValueError(f"no batch has this shape: {self}")

    def batches(
        self, lengths: Sequence[int], prompts: Sequence[Any] | None = None
    ) -> list[list[int]]:
        """Indices of the prompts, sorted by (length, index) and cut into batches.

        Args:
            lengths: columns that each prompt takes in the end, with what will follow it.
            prompts: columns of each prompt alone, where what follows differs in length; several
                numbers where modules read prompts of their own.
        """
        read: Sequence[Any] = lengths if prompts is None or not self.equal else prompts
        found: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda i: (read[i], lengths[i], i)):
            if (
                not found
                or len(found[-1]) >= self.fit(lengths[index])
                or (self.equal and read[index] != read[found[-1][0]])
            ):
                found.append([])
            found[-1].append(index)
        return found

    def fit(self, length: int) -> int:
        """Rows of a batch whose longest row takes `length` columns."""
        if self.horizon is not None and length + self.multiple > self.horizon:
            return 1
        if self.tokens is None:
            return self.rows
        return max(1, min(self.rows, self.tokens // self.width(length)))

    def width(self, longest: int) -> int:
        return -(-longest // self.multiple) * self.multiple


CANONICAL = Bucket()


def no_tick() -> None:
    """The default tick: does nothing."""


def embedded(module: PreTrainedModel) -> int:
    """Rows of the input embedding."""
    return int(cast("Tensor", module.get_input_embeddings().weight).shape[0])


def readings(model: Fused, prompts: Prompts, own: Own) -> tuple[list[Prompts], tuple[int, ...]]:
    """Everything that is read, each once, and which of it each module reads."""
    found: list[Prompts] = []
    reads = []
    for place in range(len(model.modules)):
        said = own.get(place, prompts)
        at = next((n for n, each in enumerate(found) if each is said or each == said), len(found))
        found += [said] * (at == len(found))
        reads.append(at)
    return found, tuple(reads)


def columns_of(model: Fused, prompts: Prompts, own: Own) -> tuple[list[int], list[Any]]:
    """Of each row the tokens of the longest prompt that a module reads, and of all of them."""
    sizes = [tuple(map(len, each)) for each in zip(*readings(model, prompts, own)[0], strict=True)]
    return [max(each) for each in sizes], sizes


def rows_of(own: Own, indices: Sequence[int]) -> Own:
    """What is read instead in these rows."""
    return {place: [said[index] for index in indices] for place, said in own.items()}


def followed(own: Own, more: Prompts) -> Own:
    """What is read instead, with what follows each row."""
    return {
        place: [[*ids, *after] for ids, after in zip(said, more, strict=True)]
        for place, said in own.items()
    }


def check_ids(
    model: Fused, prompts: Prompts, room: Sequence[int], after: str, own: Own = NONE_OWN
) -> None:
    """Refuses ids that the models cannot take, before any of them runs.

    Args:
        room: tokens that will follow each prompt.
        after: what those tokens are, for the message.
        own: what modules read instead of the prompts.

    Raises:
        BadInput: a prompt without ids, with an id that a model has no embedding for, or too long
            with what follows.
    """
    said, reads = readings(model, prompts, own)
    for at, each in enumerate(said):
        modules = [m for m, place in zip(model.modules, reads, strict=True) if place == at]
        _check_ids(modules, each, room, after)


def _check_ids(
    modules: Sequence[PreTrainedModel], prompts: Prompts, room: Sequence[int], after: str
) -> None:
    limits = [
        getattr(each.config.get_text_config(), "max_position_embeddings", None) for each in modules
    ]
    limit = min((each for each in limits if each), default=None)
    known = min(embedded(each) for each in modules)
    for index, (ids, more) in enumerate(zip(prompts, room, strict=True)):
        if not ids:
            raise bad(f"prompt {index}", "it has no tokens", "Give a text, or use chat: true.")
        if limit is not None and len(ids) + more > limit:
            raise bad(
                f"prompt {index}",
                f"{len(ids)} tokens and {more} {after} exceed the models' {limit} positions",
                "Shorten the prompt or lower max_new_tokens.",
            )
        if not 0 <= min(ids) <= max(ids) < known:
            raise bad(
                f"prompt {index}",
                f"ids from {min(ids)} to {max(ids)}, but the models only embed 0 to {known - 1}",
                "Check that the tokenizer belongs to this family.",
            )
