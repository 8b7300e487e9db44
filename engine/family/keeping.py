"""What was found out about a model, kept in the workspace so that it need not be asked again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def keep(file: Path, document: Mapping[str, Any]) -> None:
    """Write a file that is whole or not there; one that cannot be written costs time alone."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(document), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        log.warning("%s cannot be kept, so it is found out again next time (%s)", file, error)
