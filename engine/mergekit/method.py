"""mergekit's merge methods (0.1.5): what is known of each, and how one is applied to a tensor.

A method here is a pure function of one tensor of every model, and everything a YAML may say to it
stands in its registration. Its result is mergekit's before `out_dtype`: computed, and rounded at
every step, in the type that mergekit computes in.

    @merge(summary="…", source="arXiv 2212.04089", base="needed", least=0, each=(WEIGHT,))
    def task_arithmetic(inputs: Inputs) -> Tensor: ...

torch is imported only where a tensor is merged: the app reads this registry in its own process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import bad, unknown
from engine.method import METHODS
from engine.parameter import Parameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Base = Literal["needed", "optional", "plain"]
"""What `base_model` is to a method: the origin of differences, or one of the models like any other
("plain": it stands among them, and each has its parameters)."""


@dataclass(frozen=True)
class Part:
    """One model's part in a tensor.

    Attributes:
        tensor: the model's own.
        values: its parameters, by name, settled for this tensor.
        lots: gives uniform random numbers in [0, 1), float32 of the tensor's shape, fixed by seed,
            model and tensor; asked by methods that are `random`.
    """

    tensor: Tensor
    values: Mapping[str, Any] = field(default_factory=dict)
    lots: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Inputs:
    """What one tensor is merged from.

    Attributes:
        name: of the tensor, for messages.
        base: the base's; None where there is none, and of a method to which the base is plain.
        models: the others in the order of the file, without the base unless it is plain.
        values: the shared parameters, by name, settled for this tensor.
    """

    name: str
    base: Tensor | None
    models: Sequence[Part]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> list[Tensor]:
        """Every model's, the base's first."""
        return [*([] if self.base is None else [self.base]), *(each.tensor for each in self.models)]

    def of_each(self, name: str) -> list[Any]:
        """A parameter of every model."""
        return [each.values[name] for each in self.models]


@dataclass(frozen=True)
class Merge:
    """A registered method of mergekit.

    Attributes:
        build: the decorated function; it is given complete inputs of one floating type and shape.
        summary: what it does, one plain sentence.
        source: where it comes from.
        base: what `base_model` is to it.
        least, most: how many models it takes, besides the base unless that is plain; most None:
            any number.
        each: the parameters of every model.
        shared: the parameters of the merge.
        ignored: parameters that mergekit takes and that change no result.
        random: whether the result depends on `Part.lots`; mergekit draws from torch's generator.
        copies: float32 copies of a tensor that a merge holds: for each model, and once.
        widens: whether 16-bit tensors have a result of float32.
    """

    name: str
    build: Callable[[Inputs], Tensor]
    summary: str
    source: str
    base: Base
    least: int = 1
    most: int | None = None
    each: tuple[Parameter, ...] = ()
    shared: tuple[Parameter, ...] = ()
    ignored: tuple[str, ...] = ()
    random: bool = False
    copies: tuple[float, float] = (4, 6)
    widens: bool = False

    def check_models(self, count: int, has_base: bool, where: str) -> None:
        """Refuse a number of models, or a base that is missing, as `BadInput`.

        Args:
            count: as `least` and `most` count.
        """
        if self.base == "needed" and not has_base:
            raise bad(where, f"{self.name} needs a base", "Name it as base_model.")
        if count < self.least or (self.most is not None and count > self.most):
            word = f"at least {self.least}" if self.most is None else f"{self.least}"
            beside = "" if self.base == "plain" else " besides the base"
            what = f"{self.name} takes {word} model(s){beside}, not {count}"
            raise bad(where, what, "Change the list of models.")

    def __call__(self, inputs: Inputs, dtype: torch.dtype | None = None) -> Tensor:
        """The merged tensor; it may be one of the inputs.

        Args:
            dtype: what all tensors are turned into first; None: the type that holds them all.

        Raises:
            BadInput: a parameter or a model is missing, or tensors do not fit each other.
        """
        self.check_models(len(inputs.models), inputs.base is not None, inputs.name)
        whole = self._only(inputs)
        if whole is not None:
            return whole
        first = inputs.tensors[0]
        for other in inputs.tensors[1:]:
            if other.shape != first.shape:
                what = f"shapes {tuple(first.shape)} and {tuple(other.shape)} differ"
                raise bad(inputs.name, what, "Merge models of one shape.")
        return self.build(self._settled(inputs, dtype or _common(inputs.tensors)))

    def result_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """The type of the result of tensors of one type."""
        import torch

        return torch.promote_types(dtype, torch.float32) if self.widens else dtype

    def _only(self, inputs: Inputs) -> Tensor | None:
        """A buffer that holds no floating-point numbers; None where all do."""
        if all(each.is_floating_point() for each in inputs.tensors):
            return None
        first, *others = inputs.tensors
        if any(each.dtype != first.dtype or not first.equal(each) for each in others):
            what = "it holds whole numbers, which differ between the models"
            raise bad(inputs.name, what, "Merge models whose buffers are the same.")
        return first

    def _settled(self, inputs: Inputs, dtype: torch.dtype) -> Inputs:
        def complete(
            values: Mapping[str, Any], parameters: tuple[Parameter, ...]
        ) -> dict[str, Any]:
            found = {}
            for each in parameters:
                if each.required and values.get(each.name) is None:
                    raise bad(inputs.name, f"{self.name} needs {each.name}", "Give a value.")
                found[each.name] = values.get(each.name, each.default)
            return found

        return replace(
            inputs,
            base=None if inputs.base is None else inputs.base.to(dtype),
            models=[
                replace(each, tensor=each.tensor.to(dtype), values=complete(each.values, self.each))
                for each in inputs.models
            ],
            values=complete(inputs.values, self.shared),
        )


MERGES: dict[str, Merge] = {}
"""By name, in the order of mergekit's documentation. The names are mergekit's: some are methods of
ours too, which need not be the same."""


def merge(**facts: Any) -> Callable[[Callable[[Inputs], Tensor]], Callable[[Inputs], Tensor]]:
    """Register the decorated function under its own name; `Merge` has the arguments.

    Raises:
        ValueError: the name is taken.
    """

    def register(build: Callable[[Inputs], Tensor]) -> Callable[[Inputs], Tensor]:
        name = build.__name__
        if name in MERGES:
            raise ValueError(f"{name} is registered twice")
        MERGES[name] = Merge(name=name, build=build, **facts)
        return build

    return register


OUT: Mapping[str, str] = {
    "cabs": "it was proposed to mergekit and is in no release",
    "core_space": "it was proposed to mergekit and is in no release",
}
"""What is taken for a method of mergekit 0.1.5 and is none, and why."""


def find_merge(name: str, where: str) -> Merge:
    """mergekit's method of that name.

    Raises:
        BadInput: there is none, with the reason, where the name belongs, or near ones.
    """
    if name in OUT:
        what = f"{name} is no method of mergekit 0.1.5: {OUT[name]}"
        raise bad(where, what, f"One of {', '.join(sorted(MERGES))}.")
    if name not in MERGES and name in METHODS:
        what = f"{name} is a method of recipes here and none of mergekit's"
        raise bad(where, what, "Write it as a merge file: method, coefficients, base, experts.")
    if name not in MERGES:
        raise unknown(where, "mergekit method", name, sorted(MERGES))
    return MERGES[name]


def _common(tensors: Sequence[Tensor]) -> torch.dtype:
    import torch

    found = tensors[0].dtype
    for each in tensors[1:]:
        found = torch.promote_types(found, each.dtype)
    return found
