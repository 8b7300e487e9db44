"""Listens: a socket that is bound before a model is loaded, and uvicorn on it."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from engine.errors import bad
from engine.plain_file import read_plain

KEY = "PARETOSCOPE_API_KEY"
SHORTEST_KEY = 16
MOST_KEY_BYTES = 4096
GRACE_SECONDS = 3
"""For answers in progress when the server is told to end."""


def api_key(file: str | None) -> bytes | None:
    """The key of --api-key-file, else of the environment; None where neither is there.

    Raises:
        BadInput: a file that cannot be read, or a key that can be guessed or not be sent.
    """
    if file is not None:
        where = f"--api-key-file {file}"
        found = read_plain(Path(file), MOST_KEY_BYTES, fix="Give a file with the key alone.")
        key = found.strip()
    else:
        where, key = KEY, os.environ.get(KEY, "").strip().encode()
        if not key:
            return None
    if len(key) < SHORTEST_KEY or not all(33 <= each < 127 for each in key):
        what = f"expected {SHORTEST_KEY} or more visible ASCII characters"
        raise bad(where, what, "Make one: python -c 'import secrets; print(secrets.token_hex())'")
    return key


def listen(host: str, port: int, key: bytes | None) -> socket.socket:
    """A bound socket, which takes connections once `socket.listen` was called.

    Raises:
        BadInput: a host beyond the loopback without a key, or an address that is not to be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        raise bad("--host", f"{host!r} is no address ({error})", "Use 127.0.0.1.") from None
    family, kind, protocol, _, address = found[0]
    if key is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise bad(
            "--host",
            f"{host} can be reached from other machines, and no API key is set",
            f"Use 127.0.0.1, or give --api-key-file FILE (or {KEY}).",
        )
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        what = f"{host}:{port} cannot be used ({error.strerror or error})"
        raise bad("--port", what, "Choose another; 0 takes any that is free.") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """The base URL that clients are given."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def make_server(app: ASGIApp) -> uvicorn.Server:
    """uvicorn for the application; `run(sockets=[…])` returns at the end."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
