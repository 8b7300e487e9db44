"""Why a button that needs the worker is disabled, as text."""

from __future__ import annotations

from studio.workbench import Workbench


def waiting_words(bench: Workbench, what: str) -> str:
    """What has to happen first; empty if the worker is there.

    Args:
        what: is possible then: "Export".
    """
    if bench.worker().name == "failed":
        return f"{what} needs the worker, which failed: press Restart worker above."
    if bench.opened is None:
        return f"{what} is possible once the worker has opened the study."
    return ""
