"""What a class allows, tried on a tiny random model with a family's own configuration.

    config ──► tiny random model ──► the same texts, read in every way ──► Feeding
                              └────► each text whole, alone, no memory     (what is right)

A way of feeding is allowed where every logit is that of the text read alone. Tries go from the
least to the most that is allowed, each on top of what was found: what the module remembers,
several columns at once, rows of one length together, rows padded, rows leaving, branches. What
differs even when a row is alone and nothing is remembered is refused.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.decoding.exercises import LENGTHS, Exercises
from engine.decoding.fed import feed_as, feeding_of, try_with
from engine.decoding.feeding import Feeding
from engine.decoding.growing_cache import attends_only
from engine.decoding.horizon import far, rotary_horizon, sparse_horizon
from engine.errors import BadInput, bad
from engine.family.placed import text_class
from engine.family.text import first_line
from engine.family.tiny_model import randomise, tiny_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CACHES = ("past_key_values", "cache_params")
_MEMORIES = (*_CACHES, "state", "mems")
"""What forwards call what they remember."""

_LEAST = Feeding(rows="alone", chunks=False, leaves=False, branches=False, ready_mask=False)

_MORE: tuple[tuple[tuple[dict[str, Any], ...], str], ...] = (
    (({"chunks": True},), "in_pieces"),
    (({"rows": "equal"},), "together"),
    (
        (
            {"rows": "mixed"},
            {"rows": "mixed", "masked": "first", "chunks": False},
            {"rows": "mixed", "chunks": False},  # more rows at once are worth more than pieces
        ),
        "padded",
    ),
    (({"ready_mask": True},), "padded"),
    (({"leaves": True},), "leaving"),
    (({"branches": True},), "branching"),
)
"""What may be allowed more, in turn, and what has to hold for it; the first change that does."""


def _needed(feeding: Feeding) -> list[str]:
    """What has to hold for a feeding as a whole."""
    also = {"leaving": feeding.leaves, "branching": feeding.branches}
    always = ["alone", "step_by_step", "in_pieces", "together", "padded"]
    return [*always, *(name for name, allowed in also.items() if allowed)]


_FOUND: dict[str, tuple[Feeding, bool] | BadInput] = {}
"""By tiny configuration: how it is fed while every key is picked, and whether also beyond."""


@try_with
def tried(config: Mapping[str, Any]) -> Feeding:
    """How models of this configuration are fed; the same tiny model is tried once a process.

    Args:
        config: config.json as it is, or a configuration's `to_dict`.

    Raises:
        BadInput: no way is exact, with what differs; or transformers makes no model of it.
    """
    where = str(config.get("model_type"))
    fix = "Use a model class that transformers includes."
    with _quiet():
        try:
            shrunk = tiny_config(config)
            full = type(shrunk).from_dict(dict(config)).to_dict()
        except Exception as error:  # a class refuses a configuration by any error it likes
            what = f"transformers does not take its configuration ({first_line(error)})"
            raise bad(where, what, fix) from error
        tiny = shrunk.to_dict()
        key = json.dumps(tiny, sort_keys=True, default=str)
        if key not in _FOUND:
            try:
                module = random_model(far(tiny, sparse=True))
            except Exception as error:
                what = f"transformers has no causal language model for it ({first_line(error)})"
                raise bad(where, what, fix) from error
            try:
                _FOUND[key] = feeding_found(module), _sparse_is_alike(tiny, module)
            except BadInput as error:
                _FOUND[key] = error
    answer = _FOUND[key]
    if isinstance(answer, BadInput):
        raise answer
    feeding, alike = answer
    found = [rotary_horizon(full), None if alike else sparse_horizon(full)]
    return replace(feeding, horizon=min((each for each in found if each), default=None))


def _sparse_is_alike(tiny: Mapping[str, Any], module: PreTrainedModel) -> bool:
    """Whether a class that picks some of the keys of a long text is fed as for a short one."""
    limit = sparse_horizon(tiny)
    if limit is None:
        return True
    if 2 * limit > max(LENGTHS):  # no text of the exercises would be sparse enough
        return False
    try:
        return feeding_found(random_model(far(tiny, sparse=False))) == feeding_of(module)
    except BadInput:
        return False


def feeding_found(module: PreTrainedModel) -> Feeding:
    """The most that is exact for a module, by what its logits are.

    Raises:
        BadInput: its logits are NaN, what is said depends on what follows, or no way of
            feeding it gives the logits of a text read alone.
    """
    exercises = Exercises(module)

    def holds(feeding: Feeding, *names: str) -> bool:
        feed_as(module, feeding)
        return all(getattr(exercises, name)() for name in names)

    found = next((each for each in _memories(module) if holds(each, "alone", "step_by_step")), None)
    if found is not None:
        for changes, name in _MORE:
            ways = (replace(found, **change) for change in changes)
            found = next((each for each in ways if holds(each, name)), found)
        if not holds(
            found, *_needed(found)
        ):  # ways that are exact one by one need not be so together
            found = replace(found, rows="alone", chunks=False, leaves=False, branches=False)
    if found is None or not holds(found, *_needed(found)):
        what = f"its logits depend on how the text is split into calls ({exercises.reason})"
        raise bad(module.config.model_type, what, "Use a model of another class.")
    attends = found.memory == "growing" and attends_only(module.config)
    found = replace(found, attends=attends)
    feed_as(module, found)
    return found


def random_model(config: Mapping[str, Any]) -> PreTrainedModel:
    """A causal model with seeded weights, float32, of a configuration that is tiny already."""
    import torch
    from transformers import CONFIG_MAPPING

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        found = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
        module = text_class(found).from_config(found).float().eval()
    randomise(module, seed=1)
    return module.requires_grad_(False)


def takes_a_dynamic_cache(module: PreTrainedModel) -> bool:
    """Whether `generate` would give the class transformers' own cache."""
    said: Any = getattr(module, "_supports_default_dynamic_cache", None)
    return said is not None and bool(said())


def _memories(module: PreTrainedModel) -> Iterator[Feeding]:
    """Ways to remember, the fastest first; each with positions given, then left to the class."""
    names = set(inspect.signature(module.forward).parameters)
    positions = (True, False) if "position_ids" in names else (True,)
    for argument in (each for each in _MEMORIES if each in names):
        if argument in _CACHES and takes_a_dynamic_cache(module):
            for given in positions:
                yield replace(_LEAST, argument=argument, positions=given)
        for given in positions:
            yield replace(_LEAST, memory="own", argument=argument, positions=given)
    for given in positions:
        yield replace(_LEAST, memory="none", positions=given)


@contextmanager
def _quiet() -> Iterator[None]:
    """What transformers warns of concerns a model that nobody sees."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
