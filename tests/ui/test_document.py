"""The document that pages start as."""

from __future__ import annotations

from pathlib import Path

import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui.document import TITLE, Document, head

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"


def client() -> TestClient:
    app = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(INDEX.read_bytes(), headers={"etag": '"theirs"'})),
            Route("/text", lambda _: PlainTextResponse("<title>Streamlit</title>")),
            Route("/broken", lambda _: HTMLResponse("<title>Streamlit</title>", 500)),
        ],
        middleware=[Middleware(Document)],
    )
    return TestClient(app)


def test_ours_stands_in_the_head_of_streamlit_s_document() -> None:
    assert INDEX.read_bytes().count(TITLE) == 1
    answer = client().get("/", headers={"accept": "text/html,*/*"})
    assert answer.content.count(head()) == 1
    assert answer.content.replace(head(), TITLE) == INDEX.read_bytes()
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "etag" not in answer.headers
    before = answer.content.index(b"history.pushState")
    assert before < answer.content.index(b'type="module"')  # before any script of Streamlit's


def test_all_else_passes_as_it_is() -> None:
    for path, accept in (("/", "*/*"), ("/text", "text/html"), ("/broken", "text/html")):
        answer = client().get(path, headers={"accept": accept})
        assert head() not in answer.content and b"<title>Streamlit</title>" in answer.content
