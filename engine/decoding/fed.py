"""Which feeding belongs to a live module.

The code that loads a module declares how it is fed (`feed_as`); otherwise its class is known, or
its configuration is tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from engine.decoding.feeding import Feeding, known

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Trial = Callable[[Mapping[str, Any]], Feeding]

_TRIALS: list[Trial] = []
_FEEDINGS: WeakKeyDictionary[PreTrainedModel, Feeding] = WeakKeyDictionary()


def unwrapped(module: PreTrainedModel) -> PreTrainedModel:
    """The transformers model itself, where peft wraps it."""
    unwrap = cast("Callable[[], PreTrainedModel] | None", getattr(module, "get_base_model", None))
    return module if unwrap is None else unwrap()


def try_with(trial: Trial) -> Trial:
    """Register the function that tries an unknown configuration."""
    _TRIALS[:] = [trial]
    return trial


def feed_as(module: PreTrainedModel, feeding: Feeding) -> None:
    """Declare how a module is fed, for as long as it lives."""
    _FEEDINGS[unwrapped(module)] = feeding


def feeding_of(module: PreTrainedModel) -> Feeding:
    """How a module is fed; its configuration is tried if that was not declared.

    Raises:
        BadInput: no way of feeding it is exact.
        LookupError: it has to be tried, and `engine.decoding.trial` is not imported.
    """
    inner = unwrapped(module)
    if inner not in _FEEDINGS:
        config = inner.config.to_dict()
        found = known(config)
        if found is None and not _TRIALS:
            raise LookupError(f"no feeding is known for {type(inner).__name__}")
        found = found or _TRIALS[0](config)
        _FEEDINGS[inner] = found
    return _FEEDINGS[inner]
