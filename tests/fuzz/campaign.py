"""Many inputs one after the other over one corpus, each on sound files again, and what came of
them."""

from __future__ import annotations

import gc
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import SearchStrategy

from engine import compose
from engine.errors import bad
from tests.fuzz.corpus import Corpus, build_corpus
from tests.fuzz.doors import inputs
from tests.fuzz.watching import Finding, Input, _put, resident, run, watched

WARM = 300
"""Inputs after which everything that stays in memory has been imported."""

BATCH = 250
"""Inputs of one run of hypothesis, which remembers all choices of a run: about 12 kB an input."""


@dataclass
class Campaign:
    """What came of the inputs so far.

    Attributes:
        slowest: seconds, and the input that took them.
        memory: number of inputs -> bytes held then: after `WARM`, from time to time, at the end.
    """

    corpus: Corpus
    inputs: int = 0
    findings: list[Finding] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    memory: dict[int, int] = field(default_factory=dict)

    def take(self, each: Input) -> None:
        """Run one input; then all is sound again."""
        models = contextmanager(lambda: iter([None])) if each.door == "loaded" else no_models
        with models():
            found, took, ended = run(each, self.corpus.root, self.corpus["current-input.txt"])
        self.inputs += 1
        self.findings += found
        self.ends[f"{each.door}: {ended.split(':')[0]}"] += 1
        self.slowest = max(self.slowest, (took, str(each)))
        self._mend(each)
        if self.inputs == WARM:
            self.weigh()

    def weigh(self) -> None:
        gc.collect()
        self.memory[self.inputs] = resident()

    def _mend(self, each: Input) -> None:
        root, sound = self.corpus.root, self.corpus.sound
        if each.door in ("workspace", "blobs"):
            shutil.rmtree(root / "workspace")
            for name in self.corpus.under("workspace"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(sound[name])
        elif each.file:
            _put(root / each.file, sound[each.file])
        for place in root.glob("out*"):
            shutil.rmtree(place)
        if self.inputs % 500 == 0:
            shutil.rmtree(root / "work", ignore_errors=True)


@contextmanager
def no_models() -> Iterator[None]:
    """Within it a model that would be loaded is not: most inputs are done by then."""

    def loads(*_: Any, **__: Any) -> None:
        raise bad("fuzz", "a model would be loaded now")

    kept, compose.load_module = compose.load_module, loads  # type: ignore[assignment]
    try:
        yield
    finally:
        compose.load_module = kept


def run_campaign(place: Path, count: int, start: int) -> Campaign:
    """As many inputs as asked for, the same ones for the same `start`.

    Args:
        place: an empty directory; the files of the corpus are left there.
    """
    set_hypothesis_home_dir(place / "hypothesis")
    campaign = Campaign(build_corpus(place / "corpus"))

    strategy = inputs(campaign.corpus)
    with watched(campaign.corpus["current-input.txt"]):
        for number, done in enumerate(range(0, count, BATCH)):
            _batch(campaign, strategy, min(BATCH, count - done), f"{start}-{number}")
            if number % max(count // BATCH // 4, 1) == 0:
                campaign.weigh()
    campaign.weigh()
    return campaign


def _batch(campaign: Campaign, strategy: SearchStrategy[Input], count: int, start: str) -> None:
    @seed(start)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def each_input(each: Input) -> None:
        campaign.take(each)

    each_input()


def summary(campaign: Campaign, began: float) -> dict[str, Any]:
    """One line for a log."""
    early = campaign.memory.get(WARM) or next(iter(campaign.memory.values()))
    kinds = Counter(each.kind.split("\n")[0] for each in campaign.findings)
    return {
        "inputs": campaign.inputs,
        "seconds": round(time.monotonic() - began),
        "findings": len(campaign.findings),
        "tracebacks": sum("raceback" in each.said or "Error" in each.kind
                          for each in campaign.findings),
        "over_10_seconds": sum(count for kind, count in kinds.items() if kind == "slow"),
        "slowest_seconds": round(campaign.slowest[0], 2),
        "memory_mb": {count: round(held / 1e6) for count, held in campaign.memory.items()},
        "memory_growth_mb": round((max(campaign.memory.values()) - early) / 1e6),
    }  # fmt: skip
