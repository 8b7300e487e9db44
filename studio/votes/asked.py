"""A judge at work beside the pages: a thread that waits for an endpoint, never for a page.

Each vote is kept as it comes; a server that ends loses the call it waits for, and nothing else.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from engine.errors import ParetoscopeError
from studio.shared import once
from studio.votes.ballots import Vote
from studio.votes.judge import Judge, Progress, ask_all
from studio.votes.objective import cast
from studio.votes.round import Round
from studio.workbench import Workbench

log = logging.getLogger(__name__)


@dataclass
class Asked:
    """One judge on one round.

    Attributes:
        error: why it ended early; empty where it did not.
        over: whether it has ended.
    """

    judge: str
    progress: Progress
    error: str = ""
    over: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End it after the call it waits for."""
        self._stop.set()

    def words(self) -> str:
        """Where it stands."""
        now = self.progress
        text = f"{now.done} of {now.total} votes"
        if now.failed:
            text += f", {now.failed} without a verdict ({now.last})"
        if self.over:
            return f"{text}. {self.error}" if self.error else f"{text}. Ended."
        return f"{text} …"


class Judges:
    """The judges of one study, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now: Asked | None = None

    def start(self, bench: Workbench, judge: Judge, found: Round) -> Asked:
        """Put what is left of a round to a judge; the one at work where there is one."""
        with self._lock:
            if self.now is None or self.now.over:
                self.now = Asked(judge.name, Progress(total=len(found.left)))
                given = (bench, judge, found, self.now)
                threading.Thread(target=_work, args=given, name="judge", daemon=True).start()
            return self.now


def _work(bench: Workbench, judge: Judge, found: Round, asked: Asked) -> None:
    def keep(vote: Vote) -> None:
        cast(bench, [vote])

    try:
        ask_all(judge, found, keep, asked.progress, asked._stop.is_set)
    except ParetoscopeError as error:
        asked.error = str(error)
    except Exception:
        log.exception("%s: failed", judge.name)
        asked.error = "It failed unexpectedly; the log says why. Votes so far are kept."
    finally:
        asked.over = True


def judges_of(bench: Workbench) -> Judges:
    """Those of the study that is open."""
    found: Judges = once(bench, "judges", Judges)
    return found
