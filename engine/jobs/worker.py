"""The worker process: `python -m engine.jobs.worker`, started by the local executor and by nobody
else.

Reads one line of options (JSON, with the connection's key) from stdin, listens, writes one line
with its address to stdout, and serves. The end of stdin means that its owner has gone, and ends it
at once, whatever it is doing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from engine.errors import show_logs
from engine.jobs.imports import importing
from engine.jobs.protocol import Service
from engine.jobs.server import Server, make_service
from engine.private import keep_private

log = logging.getLogger(__name__)

NICENESS = 10  # on a CPU the page's process goes first


def _read_line() -> bytes:
    """One line of stdin, byte by byte: a buffered reader's lock would be held by the watch at
    exit."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise EOFError("stdin ended before the options")
        line += byte
    return line


def _leave_with_owner(directory: str) -> None:
    while os.read(0, 4096):
        continue
    shutil.rmtree(directory, ignore_errors=True)  # an owner that was killed could not
    os._exit(0)


def _listen(options: dict[str, Any]) -> Listener:
    """A socket in the owner's private directory; on the loopback where there are none, or where
    the directory's path is too long for one."""
    key = bytes.fromhex(options["key"])
    if sys.platform != "win32":
        try:
            return Listener(str(Path(options["directory"]) / "worker"), "AF_UNIX", authkey=key)
        except OSError as error:
            log.info("no socket in %s (%s)", options["directory"], error)
    return Listener(("127.0.0.1", 0), "AF_INET", authkey=key)


def _make(options: dict[str, Any]) -> Service:
    workspace, device = Path(options["workspace"]), options["device"]
    with importing():
        service = make_service(options["service"], workspace, device, options["compute_dtype"])
    if service.on_cpu and hasattr(os, "nice"):
        os.nice(NICENESS)
    return service


def main() -> None:
    """Serve the owner of stdin until it goes or says stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to turn into a cancel
    keep_private()
    show_logs("worker: %(levelname)s %(name)s: %(message)s")
    options = json.loads(_read_line())
    leave = partial(_leave_with_owner, options["directory"])
    threading.Thread(target=leave, name="owner", daemon=True).start()
    listener = _listen(options)
    os.write(1, json.dumps({"address": listener.address}).encode() + b"\n")
    os.dup2(2, 1)  # what a library prints must not fill a pipe that nobody reads
    Server(listener.accept).run(partial(_make, options))
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
