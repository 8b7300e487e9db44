"""A judge: a model behind an OpenAI-compatible endpoint, asked what people are asked.

    ballot ──► POST ENDPOINT/chat/completions ──► [[A]], [[B]], [[tie]] or [[bad]] ──► vote, kept
                   │ again: no answer, 429, 5xx, cut off, not JSON
                   └ stop:  refused (401, 404 …), or `PATIENCE` ballots in a row without a verdict

Each vote is kept as it comes, under the judge's name, and is not asked again: what was interrupted
goes on. The form of the question is that of pairwise judges (arXiv 2306.05685, figure 5), with one
verdict at the end; both orders of each question are asked, since judges too prefer a position.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.errors import ParetoscopeError, bad, shown
from studio.votes.asking import MOST_TOKENS, messages, verdict_of
from studio.votes.ballots import Ballot, Vote
from studio.votes.round import Round

if TYPE_CHECKING:
    import httpx2

KEY_VARIABLE = "PARETOSCOPE_JUDGE_KEY"
LONGEST_WAIT = 86_400.0
"""Seconds to wait for one answer, at most."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TRIES = 3
PATIENCE = 3
"""Ballots in a row without a verdict after which a judge is left alone."""
PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before another try, doubled each time; at most what a server may ask for."""
MOST_BYTES = 1 << 20


class JudgeFailed(ParetoscopeError):
    """A judge gave no verdict; votes that were kept before stay."""


class _Again(Exception):
    """A try failed for a reason that may pass.

    Attributes:
        pause: seconds that the server asks for; 0 where it does not.
    """

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


class _Refused(Exception):
    """The endpoint refuses: another try would be refused too."""


class Judge:
    """A model behind an endpoint.

    Args:
        endpoint: as far as /chat/completions, mostly ending in /v1.
        key_variable: environment variable that holds its key; none is sent where it is not set.
        timeout: seconds for one answer.
        most: tokens of an answer, thinking too.

    Raises:
        BadInput: the endpoint is no URL, holds a password, or would get the key unencrypted;
            no model is named; the timeout is not above 0 or more than a day.
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        key_variable: str = KEY_VARIABLE,
        timeout: float = 60.0,
        sleep: Callable[[float], object] = time.sleep,
        most: int = MOST_TOKENS,
    ) -> None:
        self.endpoint = _checked(endpoint)
        if not model.strip():
            raise bad("--model", "no model is named", "Name one that the endpoint serves.")
        if not 0 < timeout <= LONGEST_WAIT:
            what = f"{timeout:g} is no number of seconds to wait"
            raise bad("--timeout", what, f"Give one above 0, {LONGEST_WAIT:g} at most.")
        self.model = model.strip()
        self._key = os.environ.get(key_variable, "")
        parts = urlsplit(self.endpoint)
        if self._key and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise bad("--endpoint", "the key would be sent unencrypted", "Use an https:// URL.")
        self._timeout, self._sleep, self._most = timeout, sleep, most
        self._bare = False
        self._client: httpx2.Client | None = None

    @property
    def name(self) -> str:
        """Under which its votes are kept: never with a key."""
        return f"judge {self.model} at {self.endpoint}"

    def __enter__(self) -> Judge:
        import httpx2

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx2.Client(headers=headers, timeout=self._timeout, follow_redirects=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._client is not None:
            self._client.close()
            self._client = None

    def vote(self, found: Round, ballot: Ballot) -> Vote:
        """Ask one ballot; raises `JudgeFailed` after `TRIES`, `_Refused` at once where it is
        refused."""
        why, read = "", messages(found, ballot)
        for turn in range(TRIES):
            try:
                text = self._text(self._asked(read))
                choice = verdict_of(text)
            except (_Again, ValueError) as failure:
                why = self._without_key(str(failure))
                if turn + 1 < TRIES:
                    pause = max(getattr(failure, "pause", 0.0), PAUSE * 2**turn)
                    self._sleep(min(pause, LONGEST_PAUSE))
                continue
            sides = {point: found.recipes[point] for point in (ballot.left, ballot.right)}
            prompt = found.prompts[ballot.question]
            told = self._without_key(shown(text, most=400, lines=True))
            return Vote(ballot, choice, self.name, None, prompt, sides, told)
        raise JudgeFailed(f"{self.name}: {why}")

    def _asked(self, read: list[dict[str, str]]) -> dict[str, Any]:
        """The body of a request; a model that thinks may take neither a temperature nor
        `max_tokens`."""
        asked: dict[str, Any] = {"model": self.model, "messages": read, "stream": False}
        if self._bare:
            return {**asked, "max_completion_tokens": self._most}
        return {**asked, "temperature": 0, "max_tokens": self._most}

    def _text(self, asked: Mapping[str, Any]) -> str:
        """The text of one answer; raises `_Again` or `_Refused`."""
        import httpx2

        assert self._client is not None
        try:
            with self._client.stream(
                "POST", f"{self.endpoint}/chat/completions", json=asked
            ) as answer:
                body = _body(answer.iter_bytes(), time.monotonic() + self._timeout)
                status, wait = answer.status_code, answer.headers.get("retry-after", "")
        except httpx2.TimeoutException:
            raise _Again(f"no answer within {self._timeout:g} s") from None
        except httpx2.HTTPError as failure:
            what = str(failure) or type(failure).__name__
            raise _Again(f"the connection failed ({what})") from None
        said = shown(body[:300].decode("utf-8", "replace"), most=300)
        if status == 429 or status >= 500:
            raise _Again(f"HTTP {status}: {said}", float(wait) if wait.isdigit() else 0.0)
        if status == 400 and not self._bare and ("max_tokens" in said or "temperature" in said):
            self._bare = True
            raise _Again(f"HTTP {status}: {said}")
        if status != 200:
            raise _Refused(f"HTTP {status}: {said}")
        try:
            text = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _Again(f"not a chat completion: {said}") from None
        if not isinstance(text, str):
            raise _Again(f"not a chat completion: {said}")
        return text

    def _without_key(self, text: str) -> str:
        """A server may repeat the key in its refusal."""
        return text.replace(self._key, "…") if self._key else text

    def refusal(self, failure: Exception) -> JudgeFailed:
        """What a refusal says, without the key."""
        return JudgeFailed(f"{self.name}: {self._without_key(str(failure))}")


def _body(chunks: Iterator[bytes], limit: float) -> bytes:
    """A body, read no further than `MOST_BYTES` and no longer than until `limit`."""
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            raise _Again(f"an answer of more than {MOST_BYTES:,} bytes")
        if time.monotonic() > limit:
            raise _Again("the answer did not end in time")
    return body


def _checked(endpoint: str) -> str:
    where, text = "--endpoint", endpoint.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        name, _ = parts.hostname, parts.port
    except ValueError:
        name, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not name:
        raise bad(where, f"{endpoint!r} is no URL", "Write it like http://127.0.0.1:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        fix = "Give the plain URL, and a key in an environment variable."
        raise bad(where, "it holds a password or more than a path", fix)
    return text.removesuffix("/chat/completions")


@dataclass
class Progress:
    """How far a judge is.

    Attributes:
        failed: ballots without a verdict; they are asked again the next time.
        last: why the last of these has none.
    """

    done: int = 0
    failed: int = 0
    total: int = 0
    last: str = ""


def ask_all(
    judge: Judge,
    found: Round,
    keep: Callable[[Vote], None],
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Put every ballot that is left to a judge; each vote is kept before the next is asked.

    Args:
        keep: saves a vote.
        progress: written to as it goes.
        stop: asked before each ballot.

    Raises:
        JudgeFailed: it refuses, or gives no verdict `PATIENCE` times in a row; what was kept stays.
    """
    progress.total, in_a_row = len(found.left), 0
    with judge:
        for ballot in list(found.left):
            if stop():
                return
            try:
                vote = judge.vote(found, ballot)
            except _Refused as failure:
                raise judge.refusal(failure) from None
            except JudgeFailed as failure:
                progress.failed, progress.last, in_a_row = (
                    progress.failed + 1, str(failure), in_a_row + 1,
                )  # fmt: skip
                if in_a_row >= PATIENCE:
                    raise JudgeFailed(
                        f"{failure}. {PATIENCE} in a row: stopped. {progress.done} of "
                        f"{progress.total} votes are kept; ask again to go on."
                    ) from None
                continue
            keep(vote)
            found.left.remove(ballot)
            progress.done, in_a_row = progress.done + 1, 0
