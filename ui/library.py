"""plotly.js at its own address: the browser downloads it once and caches it.

    /plotly/7.1.0/plotly.min.js    the installed package's file, for this version alone

The version is in the address, so the cache is never stale; the browser also caches the compiled
code, which is impossible when the 4.8 MB are sent through a session.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    # on the way from this machine to this machine compressing takes longer than sending
    "content-encoding": "identity",
}


@cache
def path() -> str:
    """Where plotly.js is, on this server."""
    return f"/plotly/{version('plotly')}/plotly.min.js"


@cache
def file() -> Path:
    """The file in the installed package, which is not imported for it: that takes half a second."""
    found = find_spec("plotly")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "package_data" / "plotly.min.js"


async def answer(_: Request) -> Response:
    return FileResponse(file(), media_type="text/javascript", headers=HEADERS)


def route() -> Route:
    """For the server, beside those of Streamlit."""
    return Route(path(), answer, methods=["GET"])
