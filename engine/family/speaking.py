"""How a system message is put in front of a conversation.

An exported decoding folder ships this text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Messages = Sequence[Mapping[str, Any]]


def spoken(messages: Messages, system: str, alone: bool) -> list[Mapping[str, Any]]:
    """A conversation behind a system message.

    Args:
        system: the message; empty: none.
        alone: a system message that the conversation has is left out; else it follows, after a
            blank line.
    """
    own = bool(messages) and messages[0].get("role") == "system"
    if not system and not (own and alone):
        return list(messages)
    rest = messages[1:] if own else messages
    after = f"\n\n{messages[0]['content']}" if own and not alone else ""
    return [*([{"role": "system", "content": system + after}] if system else []), *rest]
