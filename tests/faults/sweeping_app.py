"""What the app does, without its pages: a store, a local executor, a sweep that goes on after a
death.

    python -m tests.faults.sweeping_app WORKSPACE OPTIONS     OPTIONS: JSON, see `main`

Prints a JSON line when the worker is ready, for each row once it is acknowledged, and at the end.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from cache.store import Store
from engine.errors import JobFailed
from engine.jobs.executor import wait_until_ready
from engine.jobs.local import LocalExecutor
from engine.worker.messages import Job


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def saved(store: Store, family: str) -> list[str]:
    store.refresh()
    return [row["id"] for row in store.scores(family, values=False)]


def main(workspace: Path, options: dict[str, Any]) -> None:
    """Options: service: import path, None for the real one; family: fingerprint, None to ask;
    payload."""
    more = {"service": options["service"]} if options["service"] else {}
    with (
        Store.open(workspace) as store,
        LocalExecutor(
            workspace, device="cpu", on_rows=store.append, claims=store.claims, **more
        ) as executor,
    ):
        family, payload = options["family"], options["payload"]
        while True:
            try:
                if family is None:
                    family = executor.submit(Job("open", payload)).result()["family"]
                handle = executor.submit(
                    Job("sweep", {**payload, "have": saved(store, family)}, "sweep", "sweep")
                )
                start = time.monotonic()
                wait_until_ready(executor)
                say(ready=time.monotonic() - start, worker=executor.pid)
                for event in handle.events():
                    if event.kind == "result":
                        say(saved=event.data["row"]["id"])
                handle.result()
                break
            except JobFailed as error:
                say(failed=str(error))
        say(done=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
