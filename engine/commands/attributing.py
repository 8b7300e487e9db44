"""generate --attribute: the outputs with what moved each token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session


def with_attribution(
    session: Session,
    args: SimpleNamespace,
    variables: Mapping[str, Any],
    result: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The outputs of a job "generate", each with its "attribution"; None where there is nothing."""
    outputs: Sequence[Mapping[str, Any]] = result["outputs"]
    found = session.run(
        "attribute",
        {
            "recipes": [result["recipe"]],
            "token_ids": [[each["token_ids"] for each in outputs]],
            "prompts": args.prompt,
            "chat": args.chat,
            "stop": args.stop,
            "template_kwargs": variables,
        },
    )
    [column] = found["columns"]
    return [{**output, "attribution": each} for output, each in zip(outputs, column, strict=True)]
