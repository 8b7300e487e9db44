"""A stand-in for an accelerator: tensors that say they lie on a device which is not the CPU.

    with accelerator():                               other threads see nothing of it
        module.to(DEVICE)
        torch.ones(3, device=DEVICE) + torch.ones(3)      raises `WrongDevice`, as CUDA would

Numbers are computed on the CPU, so that results are compared too. A CPU tensor of any dimension
meets one of the device in copies alone; what is read of main memory directly (`numpy`, `data_ptr`)
raises, as there is none. "lazy" is a device that every build of torch knows and nothing here uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("lazy", 0)

COPIES = frozenset(("aten::copy_", "aten::_to_copy"))


class WrongDevice(AssertionError):
    """Tensors of both devices met in one operation."""


class There(Tensor):
    """A tensor of the device; `here` is the CPU tensor with its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        with torch.inference_mode(False):  # a view of one made outside of it would be refused
            made: There = torch.Tensor._make_wrapper_subclass(
                cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(),
                dtype=here.dtype, device=DEVICE, requires_grad=False,
            )  # fmt: skip
        made.here = here
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def data_ptr(self) -> int:
        raise WrongDevice(f"the address of a tensor of {DEVICE}")

    def __repr__(self, **kwargs: Any) -> str:
        return f"There({self.here!r})"

    @property
    def data(self) -> Tensor:
        return There(self.here)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, There):
            raise WrongDevice(f"data of {DEVICE} is set to a tensor of {value.device}")
        torch._C.TensorBase.data.__set__(self, value)  # its shape may be another
        self.here = value.here

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise WrongDevice(f"{func} outside of `accelerator`")


def _here(value: Any) -> Any:
    return value.here if isinstance(value, There) else value


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """`function` of a value, or of all that a list or a tuple holds."""
    if isinstance(value, list | tuple):
        return type(value)(_each(function, each) for each in value)
    return function(value)


class Accelerator(TorchDispatchMode):
    """Runs the operations of the device, see `accelerator`.

    Attributes:
        operations: how many ran on it.
    """

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        with self:  # in inference mode they come whole
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        given: list[Tensor] = []
        _each(
            lambda x: given.append(x) if isinstance(x, Tensor) else None, (*args, *kwargs.values())
        )
        there = [each for each in given if isinstance(each, There)]
        wanted = kwargs.get("device")
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        if there and func.name().partition(".")[0] not in COPIES:
            strange = [each for each in given if not isinstance(each, There) and each.dim()]
            if strange:
                shapes = [tuple(each.shape) for each in strange]
                raise WrongDevice(f"{func} of {DEVICE} is given {shapes} of the CPU")
        target = torch.device(wanted) if wanted is not None else None
        if target is not None and target.type not in ("cpu", DEVICE.type):
            return func(*args, **kwargs | {"device": target})
        near = {name: _each(_here, each) for name, each in kwargs.items()}
        out = func(*_each(_here, args), **near)
        on_device = bool(there) if target is None else target.type == DEVICE.type
        if not on_device:
            return out
        self.operations += 1
        own = {id(_here(each)): each for each in given}  # what an operation wrote into stays itself

        def placed(each: Any) -> Any:
            return own.get(id(each), There(each)) if isinstance(each, Tensor) else each

        return _each(placed, out)


@contextmanager
def accelerator() -> Iterator[Accelerator]:
    """Within it the device is there."""
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor makes its numbers here, then moves
    try:
        with Accelerator() as found:
            yield found
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
