"""What the worker process runs: `python -m engine.jobs.worker DESCRIPTOR`, started by the local
executor and by nobody else.

The descriptor is its end of a pair of sockets; the first message says what to run. The connection's
end means that its owner has gone, and ends it at once, whatever it is doing.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from engine.errors import show_logs
from engine.jobs.imports import importing
from engine.jobs.served import Service
from engine.jobs.server import Server, make_service
from engine.private import keep_private
from engine.worker.messages import Options, unpack
from engine.worker.process import inherited

NICENESS = 10  # on a CPU the page's process goes first


def _make(options: Options) -> Service:
    with importing():
        service = make_service(
            options.service, Path(options.workspace), options.device, options.compute_dtype
        )
    if service.on_cpu:
        os.nice(NICENESS)
    return service


def main() -> None:
    """Serve the owner until it goes or says stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to turn into a cancel
    keep_private()
    show_logs("worker: %(levelname)s %(name)s: %(message)s")
    connection = inherited(int(sys.argv[1]))
    try:
        options = unpack(connection.recv_bytes())
    except EOFError:  # the owner has gone already
        return
    assert isinstance(options, Options)
    Server(connection, gone=lambda: os._exit(0)).run(partial(_make, options))
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
