"""The HTTP side: routes, and each request's way to the model thread and back.

All of it is on the event loop, which nothing blocks: prompts are encoded on a thread of their own,
a slow client waits for itself alone, and one that goes away takes its place with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from engine.serving import answers
from engine.serving.answers import Answer
from engine.serving.asking import Ask, chat_ask, completion_ask
from engine.serving.guard import check_access, json_body
from engine.serving.refused import Refused, failed
from engine.serving.served import Served
from engine.serving.turns import Heard, Turns, Work
from engine.serving.writing import Done, Piece

log = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
"""A client that takes nothing for so long is given up."""

_T = TypeVar("_T")


class Gone(Exception):
    """The client has closed its connection."""


class Inbox:
    """What the model thread says to one request, on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: list[Heard] = []
        self._some = asyncio.Event()

    def hear(self, heard: Heard) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # the server has ended, and nobody listens
            self._loop.call_soon_threadsafe(self._take, heard)

    def _take(self, heard: Heard) -> None:
        self._heard.append(heard)
        self._some.set()

    async def __aiter__(self) -> AsyncIterator[list[Heard]]:
        """All that has come since, up to the last."""
        while True:
            await self._some.wait()
            self._some.clear()
            heard, self._heard = self._heard, []
            yield heard
            if any(not isinstance(each, Piece) for each in heard):
                return


def build_app(served: Served, turns: Turns, key: bytes | None = None) -> Starlette:
    """The application.

    Args:
        key: what clients have to send as their API key; None: none is asked for.
    """
    encoder = ThreadPoolExecutor(1, "encoder")

    def guarded(
        found: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            check_access(request, key)
            return await found(request)

        return endpoint

    async def answer(request: Request, read: Callable[[bytes], Ask]) -> Response:
        ask = read(await json_body(request))
        _check_model(ask.model, served)
        inbox = Inbox()
        work = turns.admit(inbox.hear)
        try:
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(encoder, served.rows, ask)
            turns.start(work, ask, rows)
            found = Answer(ask, served, rows)
            if ask.stream:
                return EventStream(found, inbox, turns, work)
            whole = _whole(found, inbox)
            response = await until_gone(request.receive, whole)
        except Gone:
            response = Response(status_code=499)  # nobody reads it
        except BaseException:
            turns.leave(work)
            raise
        turns.leave(work)
        return response

    async def chat(request: Request) -> Response:
        return await answer(request, chat_ask)

    async def completions(request: Request) -> Response:
        return await answer(request, completion_ask)

    async def models(_: Request) -> Response:
        return _json(answers.models(served))

    async def model(request: Request) -> Response:
        _check_model(request.path_params["name"], served)
        return _json(answers.model(served))

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", guarded(chat), methods=["POST"]),
            Route("/v1/completions", guarded(completions), methods=["POST"]),
            Route("/v1/models", guarded(models), methods=["GET"]),
            Route("/v1/models/{name}", guarded(model), methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
        ],
        exception_handlers={
            Refused: _refused,
            HTTPException: _no_route,
            Exception: _fault,
        },
    )


def _check_model(name: str, served: Served) -> None:
    if name != served.name:
        raise Refused(
            404, f"the model {name!r} does not exist; this server has {served.name}",
            param="model", code="model_not_found",
        )  # fmt: skip


def _json(document: answers.Document, status: int = 200, **headers: str) -> Response:
    return Response(answers.body(document), status, headers, "application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _json(error.document, error.status, **error.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {error.detail}"
    document = Refused(error.status_code, what, code="not_found").document
    return _json(document, error.status_code, **dict(error.headers or {}))


async def _fault(_: Request, error: Exception) -> Response:
    return _json(failed(f"{type(error).__name__}; the server's log says more").document, 500)


async def _whole(answer: Answer, inbox: Inbox) -> Response:
    """The response of a request without a stream."""
    async for heard in inbox:
        for each in heard:
            if isinstance(each, Refused):
                return _json(each.document, each.status)
            if isinstance(each, Done):
                return _json(answer.whole(each))
    raise AssertionError("an inbox ends with one of these")


class EventStream(Response):
    """Server-sent events while an answer is written."""

    def __init__(self, answer: Answer, inbox: Inbox, turns: Turns, work: Work) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-cache"})
        del self.headers["content-length"]
        self._answer, self._inbox, self._turns, self._work = answer, inbox, turns, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_gone(receive, self._stream(send))
        except Gone:
            log.debug("a client went away")
        finally:
            self._turns.leave(self._work)

    async def _stream(self, send: Send) -> None:
        async def write(message: Message) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        async def body(content: bytes, more: bool = True) -> None:
            await write({"type": "http.response.body", "body": content, "more_body": more})

        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await write(start)
        await body(b"".join(self._answer.opening()))
        async for heard in self._inbox:
            for each in heard:
                await body(b"".join(self._events(each)))
        await body(b"", more=False)

    def _events(self, heard: Heard) -> list[bytes]:
        if isinstance(heard, Piece):
            return list(self._answer.piece(heard))
        if isinstance(heard, Done):
            return list(self._answer.closing(heard))
        return [answers.event(heard.document), answers.DONE]


async def until_gone(receive: Receive, doing: Coroutine[Any, Any, _T]) -> _T:
    """The result of what is done for a client whose request was read; raises `Gone`, and stops it,
    as soon as the client closes the connection."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    work, watch = asyncio.create_task(doing), asyncio.create_task(gone())
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Gone
    finally:
        work.cancel()
        watch.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)
