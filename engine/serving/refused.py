"""What the protocol says where a request has no answer: {"error": {message, type, param, code}}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import ParetoscopeError, shown

INVALID = "invalid_request_error"


class Refused(ParetoscopeError):
    """A request that is not answered.

    Args:
        status: of HTTP.
        param: the request's field that is wrong.
        code: the protocol's short name of what is wrong.
        kind: the protocol's `type`.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = INVALID,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(shown(message))
        self.status = status
        self.param = param
        self.code = code
        self.kind = kind
        self.headers = dict(headers or {})

    @property
    def document(self) -> dict[str, Any]:
        """The body of the response, or of an event in the middle of a stream."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def wrong(param: str, what: str, code: str = "invalid_value") -> Refused:
    """A field whose value cannot be used."""
    return Refused(400, f"{param}: {what}", param=param, code=code)


def failed(what: str) -> Refused:
    """A fault of the server's own."""
    return Refused(500, what, kind="server_error", code="server_error")
