"""How the texts of an objective are written: what `engine.decoding.loop.generate` is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.decoding.sampling import GREEDY, Sampling
from engine.scoring.encoding import TextCodec
from engine.scoring.plan import Task
from engine.scoring.stops import StopWatch


@dataclass(frozen=True)
class Settings:
    """Of one task.

    Attributes:
        key: tasks of equal keys have the same texts.
        decode: token ids to text.
    """

    key: object
    max_new_tokens: int
    end_ids: frozenset[int]
    sampling: Sampling
    stopped: StopWatch | None
    decode: Callable[[Sequence[int]], str]

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `generate` that are the same whatever model writes."""
        return {
            "max_new_tokens": self.max_new_tokens,
            "end_ids": self.end_ids,
            "sampling": self.sampling,
            "stopped": self.stopped,
        }


def settings_of(task: Task, text: TextCodec) -> Settings:
    """The settings of a task that generates."""
    each, sampling = task.objective, GREEDY
    if each.temperature > 0.0:
        sampling = Sampling(each.temperature, each.top_p, each.top_k, each.seed)
    decode = partial(text.decode, marker=each.answer_after)
    watch = StopWatch(each.stop, decode, each.answer_after) if each.stop else None
    prompts = (task.prompts, *task.own.items())
    key = (prompts, each.max_new_tokens, each.stop, each.answer_after, sampling)
    return Settings(key, each.max_new_tokens, text.end_ids, sampling, watch, decode)
