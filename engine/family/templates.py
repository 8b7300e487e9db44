"""Chat templates, which are untrusted programs: rendered in a separate process within limits, with
errors that name file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import apart
from engine.errors import BadInput, Problem
from engine.family.tokenizer import TokenizerFiles

_ANOTHER = "Correct the template, or set `tokenizer:` to another model."
_OWN = "Correct the template, or take it out of `templates:`."


class NoUse(BadInput):
    """A template that does not parse, or that a limit stopped: no conversation will do."""


def template_file(files: TokenizerFiles) -> Path:
    """The file that the chat template stands in."""
    for name in ("chat_template.jinja", "tokenizer_config.json", "chat_template.json"):
        file = files.path / name
        if file.is_file() and (file.suffix == ".jinja" or _holds(file)):
            return file
    return files.path


def _holds(file: Path) -> bool:
    return '"chat_template"' in file.read_text(encoding="utf-8", errors="replace")


def rendered(
    files: TokenizerFiles,
    where: str,
    template: str,
    given: Mapping[str, Any],
    chats: Sequence[Sequence[Mapping[str, Any]]],
    own: Path | None = None,
) -> list[str | BadInput]:
    """The text of each conversation, up to where the assistant speaks, or why it has none.

    Args:
        own: the file of a model's own template, where this is one.
        where: what a message names as its place, beside file and line.
        given: what the template may look at beside the messages.
    """

    def told(failed: apart.Failed) -> BadInput:
        file = own or template_file(files)
        line = "" if failed.line is None or file.suffix != ".jinja" else f":{failed.line}"
        place = f"{where}: {file.name}{line}"
        if failed.kind == "syntax":
            what = f"the chat template does not parse ({failed.what})"
        elif failed.limit:
            what = f"the chat template was stopped: {failed.what}"
        else:
            what = f"the chat template refuses the messages ({failed.what})"
            return BadInput(Problem(place, what, "Correct the messages."))
        if failed.line is not None and not line:
            what += f" in line {failed.line} of the template"
        return NoUse(Problem(place, what, _OWN if own else _ANOTHER))

    found = apart.render(template, given, chats)
    return [told(each) if isinstance(each, apart.Failed) else each for each in found]
