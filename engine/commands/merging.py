"""merge: a merge file or mergekit YAML in, a directory out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.errors import bad


def output_path(text: str) -> Path:
    """The directory that an argument names; raises `BadInput`."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # no such ~user
        raise bad(text, f"is not a path ({error})", "Choose another output.") from None


def merge(args: SimpleNamespace) -> dict[str, Any]:
    """Merge what a file asks for."""
    from engine.export.mergefile import merge as merge_file
    from engine.export.shards import parse_size

    return merge_file(
        Path(args.config),
        output_path(args.out),
        dtype=args.dtype,
        shard=parse_size(args.shard_size, "--shard-size"),
        memory=parse_size(args.memory, "--memory"),
        device=args.device,
        workspace=args.workspace,
    )
