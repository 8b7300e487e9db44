"""What an executor keeps outside of the engine: rows on disk, and the claims on what is measured.

rows  ──► those that nobody else saved ──► on_rows (fsync)
claim ──► the workspace's claims ──► Answer        None: nobody else is there, all is granted
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from cache.claims import Claims
from engine.jobs.executor import OnRows
from engine.worker.messages import Answer


class Saving:
    """Where rows go, and who else measures.

    Args:
        on_rows: saves rows, and returns once they are on disk; None keeps none.
        claims: of the store that `on_rows` saves to; None if no other process is there.
    """

    def __init__(self, on_rows: OnRows | None, claims: Claims | None) -> None:
        self._on_rows = on_rows
        self._claims = claims

    def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Save rows, except those that another process measured too while this one was stopped
        for longer than its lease."""
        scores = [row["id"] for row in rows if row.get("kind") == "score" and row.get("id")]
        if self._claims is not None:
            there = self._claims.there(scores)
            rows = [row for row in rows if row.get("id") not in there]
        if rows and self._on_rows is not None:
            self._on_rows(rows)
        if self._claims is not None:
            self._claims.saved(scores)

    def claim(self, job: str, wanted: Sequence[Collection[str]]) -> Answer:
        """What a job may measure of groups of ids of scores."""
        if self._claims is None:
            return Answer(frozenset(wanted[0]))
        return self._claims.ask(job, wanted)

    def over(self, job: str) -> None:
        """A job has ended."""
        if self._claims is not None:
            self._claims.end(job)

    def gone(self) -> None:
        """The engine has ended, with every job that ran."""
        if self._claims is not None:
            self._claims.end_all()

    def renew(self) -> None:
        """The engine is alive."""
        if self._claims is not None:
            self._claims.renew()
