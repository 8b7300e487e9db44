"""What a forked process is told to do beside a command of the product."""

from __future__ import annotations

import sys
from pathlib import Path

from cache.compaction import compact
from cache.store import Store
from engine.demo import demo_in


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def append(workspace: str, name: str, count: int) -> None:
    """Save rows in batches; a line for each batch once it is acknowledged."""
    with Store.open(workspace) as store:
        for start in range(0, count, 5):
            rows = [note(f"{name}-{start + k}") for k in range(5)]
            store.append(rows)
            say(" ".join(str(row["id"]) for row in rows))


def note(name: str) -> dict[str, object]:
    return {"kind": "note", "id": name, "mean": len(name) / 8, "more": name * 20}


def pack(workspace: str) -> None:
    """Compact whatever journals there are, merge whatever segments."""
    place = Path(workspace)
    compact(place / "journal", place / "segments", least=1, large=1)
    compact(place / "journal", place / "segments", least=2, large=1)


def index(workspace: str) -> None:
    """Open the store, which builds its index where there is none."""
    with Store.open(workspace) as store:
        say(f"rows {len(store.records('note'))}")


def set_up(workspace: str) -> None:
    """What the app does at its first start."""
    say(str(demo_in(Path(workspace))))
    index(workspace)
