"""The process that runs untrusted patterns and chat templates. `engine.apart` starts and stops it.

    one line of JSON in:  {"do": "render" | "match" | "groups" | "ends", "items", …}
    one line of JSON out: a list, an answer an item: what was found, or {"failed": kind, "what", …}

It imports the standard library and jinja2 alone, and is run as a file, outside the package. Each
item has seconds of CPU time, the process a limit of memory; should C code not hear the timer, the
kernel ends the process a little later, whatever became of who started it.

A template sees what transformers 5.23 shows it (`transformers.utils.chat_template_utils`).
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

MEMORY = 1 << 30
"""Bytes of address space."""

_REASONING = ("reasoning_content", "thinking", "reasoning")


class _TooLong(BaseException):
    """The time of an item is over; no template can catch it."""


def _over(*_: object) -> None:
    raise _TooLong


@lru_cache(maxsize=8)
def compile_template(text: str) -> Any:
    """A chat template as transformers compiles it; raises jinja2's errors."""
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """{% generation %} … {% endgeneration %} is its body."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            call = self.call_method("_said")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

        def _said(self, caller: Callable[[], str]) -> str:
            return caller()

    class Dict:
        """`dict`, without its attributes."""

        def __call__(self, *args: Any, **given: Any) -> dict[Any, Any]:
            return dict(*args, **given)

        def fromkeys(self, *args: Any) -> dict[Any, Any]:
            return dict.fromkeys(*args)

    class Namespace(jinja2.utils.Namespace):
        """A namespace that keeps no name with an underscore in front."""

        def __init__(*args: Any, **given: Any) -> None:
            attributes = dict(*args[1:], **given)
            for name in attributes:
                _check_name(name)
            jinja2.utils.Namespace.__init__(args[0], attributes)

        def __setitem__(self, name: str, value: Any) -> None:
            _check_name(name)
            super().__setitem__(name, value)

    def _check_name(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace cannot hold {name!r}")

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def drawn(*_: Any, **__: Any) -> None:
        what = "it uses randomness, so scores would differ between runs"
        raise jinja2.exceptions.TemplateError(what)

    def tojson(x: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None,
               sort_keys: bool = False) -> str:  # fmt: skip
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)  # fmt: skip

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    # the day of `engine.family.dated`, and nothing drawn: the same conversation is the same text
    environment.globals["strftime_now"] = lambda format: datetime(2024, 7, 26).strftime(format)
    environment.filters["random"] = environment.globals["lipsum"] = drawn
    environment.globals["dict"] = Dict()
    environment.globals["namespace"] = Namespace
    return environment.from_string(text)


def _aliased(message: Any) -> Any:
    """A message with its reasoning under every name that templates read."""
    found = next((message[key] for key in _REASONING if message.get(key) is not None), None)
    if found is None:
        return message
    return {"thinking": found, **message, "reasoning_content": found}


def _render(asked: dict[str, Any]) -> Callable[[Any], str]:
    template, most = compile_template(asked["template"]), int(asked["most"])

    def one(messages: list[dict[str, Any]]) -> Any:
        kept = [{k: v for k, v in each.items() if v is not None} for each in messages]
        parts, size = [], 0
        for part in template.generate(
            messages=[_aliased(each) for each in kept], tools=None, documents=None,
            add_generation_prompt=True, **asked["given"],
        ):  # fmt: skip
            parts.append(part)
            size += len(part)
            if size > most:
                return {"failed": "size", "what": f"it produces more than {most:,} characters"}
        return "".join(parts)

    return one


def _match(asked: dict[str, Any]) -> Callable[[str], Any]:
    patterns = [re.compile(each) for each in asked["patterns"]]

    def one(text: str) -> Any:
        """[which pattern, all of its first match, its group 1]; None if none matches."""
        for number, pattern in enumerate(patterns):
            found = getattr(pattern, asked["how"])(text)
            if found is not None:
                return [number, found[0], found[1] if pattern.groups else None]
        return None

    return one


def _groups(asked: dict[str, Any]) -> Callable[[str], int]:
    return lambda pattern: re.compile(pattern).groups


def _ends(asked: dict[str, Any]) -> Callable[[list[list[str]]], int]:
    names = asked["names"]

    def one(forms: list[list[str]]) -> int:
        """How many of the names the forms of one pattern match; the first has to compile."""
        count = 0
        for number, (how, form) in enumerate(forms):
            try:
                pattern = re.compile(form)
            except re.error:
                if not number:
                    raise
                continue
            count += sum(getattr(pattern, how)(each) is not None for each in names)
        return count

    return one


_DOES = {"render": _render, "match": _match, "groups": _groups, "ends": _ends}


def _failed(error: BaseException) -> dict[str, Any]:
    if isinstance(error, _TooLong):
        return {"failed": "time", "what": "it took too long"}
    if isinstance(error, MemoryError):
        return {"failed": "memory", "what": f"it needs more than {MEMORY >> 20} MB of memory"}
    if isinstance(error, RecursionError):
        return {"failed": "depth", "what": "it recurses without end"}
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    kind = "syntax" if type(error).__name__ in ("TemplateSyntaxError", "error") else "error"
    return {"failed": kind, "what": lines[0][:300], "line": line}


def _timed(seconds: float, work: Callable[[], Any]) -> Any:
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            return work()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (_TooLong, Exception) as error:  # a stranger's code raises what it likes
        return _failed(error)


def answer(asked: dict[str, Any]) -> list[Any]:
    """An answer for each item of a request."""
    seconds, total = float(asked["seconds"]), float(asked["total"])
    start = time.process_time()
    made: list[Any] = []
    make = _DOES[asked["do"]]
    failed = _timed(seconds, lambda: made.append(make(asked)))
    if failed is not None:
        return [failed] * len(asked["items"])
    found: list[Any] = []
    for item in asked["items"]:
        left = total - (time.process_time() - start)
        if left <= 0 or (found and isinstance(found[-1], dict) and found[-1]["failed"] == "time"):
            found.append(_failed(_TooLong()))
        else:
            found.append(_timed(min(seconds, left), partial(made[0], item)))
    return found


def serve() -> None:
    """Answer requests until the end of standard input."""
    signal.signal(signal.SIGPROF, _over)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process decides
    with contextlib.suppress(ValueError, OSError):  # not every system knows the limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    for line in sys.stdin:
        try:
            asked = json.loads(line)
            end = int(time.process_time() + float(asked["total"])) + 3
            resource.setrlimit(resource.RLIMIT_CPU, (end, most))
            said = json.dumps(answer(asked))
        except MemoryError as error:
            said = json.dumps([_failed(error)])  # of all items
        sys.stdout.write(said + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
