"""Answers as the protocol's JSON objects: whole ones, and the events of a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import shown_json
from engine.serving.asking import Ask
from engine.serving.likely import Chance, Likely
from engine.serving.served import Rows, Served
from engine.serving.writing import Done, Piece

Document = Mapping[str, Any]

DONE = b"data: [DONE]\n\n"


def body(document: Document) -> bytes:
    """A document as the bytes of a response."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return shown_json(text).encode()


def event(document: Document) -> bytes:
    """A document as a server-sent event; JSON writes line ends as escapes, so it is one line."""
    return b"data: " + body(document) + b"\n\n"


class Answer:
    """The documents of one request."""

    def __init__(self, ask: Ask, served: Served, rows: Rows) -> None:
        self._ask, self._rows = ask, rows
        kind = "chat.completion" if ask.chat else "text_completion"
        self._head = {
            "id": f"{'chatcmpl' if ask.chat else 'cmpl'}-{uuid.uuid4().hex}",
            "object": f"{kind}.chunk" if ask.chat and ask.stream else kind,
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.numerics,
        }

    def whole(self, done: Done) -> Document:
        """The answer to a request without a stream."""
        choices = [
            {"index": each.row, **self._said(each), "logprobs": self._logprobs(each),
             "finish_reason": each.reason}
            for each in done.answers
        ]  # fmt: skip
        return {**self._head, "choices": choices, "usage": self._usage(done)}

    def _said(self, piece: Piece) -> Document:
        if not self._ask.chat:
            return {"text": piece.text}
        return {"message": {"role": "assistant", "content": piece.text, "refusal": None}}

    def opening(self) -> Iterator[bytes]:
        """The first events of a stream: who speaks."""
        if self._ask.chat:
            for row in range(len(self._rows.ids)):
                yield self._chunk(row, {"role": "assistant", "content": "", "refusal": None})

    def piece(self, piece: Piece) -> Iterator[bytes]:
        """The events of what an answer grew by."""
        if piece.text or piece.likely:
            yield self._chunk(piece.row, {"content": piece.text}, self._logprobs(piece))
        if piece.reason is not None:
            yield self._chunk(piece.row, {}, reason=piece.reason)

    def closing(self, done: Done) -> Iterator[bytes]:
        """The last events of a stream."""
        if self._ask.usage:
            yield event({**self._head, "choices": [], "usage": self._usage(done)})
        yield DONE

    def _chunk(
        self, row: int, delta: Document, logprobs: Document | None = None, reason: str | None = None
    ) -> bytes:
        said = {"delta": delta} if self._ask.chat else {"text": delta.get("content", "")}
        choice = {"index": row, **said, "logprobs": logprobs, "finish_reason": reason}
        usage = {"usage": None} if self._ask.usage else {}
        return event({**self._head, "choices": [choice], **usage})

    def _usage(self, done: Done) -> Document:
        prompt, written = self._rows.prompt_tokens, done.completion_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        }

    def _logprobs(self, piece: Piece) -> Document | None:
        if self._ask.top is None:
            return None
        if self._ask.chat:
            content = [
                {**_chance(each), "top_logprobs": [_chance(one) for one in each.top]}
                for each in piece.likely
            ]
            return {"content": content, "refusal": None}
        return {
            "tokens": [each.name for each in piece.likely],
            "token_logprobs": [each.logprob for each in piece.likely],
            "top_logprobs": [_named(each) for each in piece.likely],
            "text_offset": [each.start for each in piece.likely],
        }


def _chance(each: Chance) -> dict[str, Any]:
    spelled = list(each.spelled) if each.spelled else None
    return {"token": each.name, "logprob": each.logprob, "bytes": spelled}


def _named(each: Likely) -> dict[str, float]:
    """The likeliest by their names, the token itself always among them."""
    found: dict[str, float] = {}
    for one in (*each.top, each):
        found.setdefault(one.name, one.logprob)
    return found


def models(served: Served) -> Document:
    """The list of models: the point alone."""
    return {"object": "list", "data": [model(served)]}


def model(served: Served) -> Document:
    """The point as the protocol's model, with its recipe beside."""
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "paretoscope",
        "max_model_len": served.window,
        "recipe": served.model.recipe.as_dict(),
    }
