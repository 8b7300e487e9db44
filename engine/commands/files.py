"""merge, export, demo: what writes directories."""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path
from typing import Any

from engine.commands.points import evaluated
from engine.commands.session import Session, progress
from engine.errors import BadInput
from engine.recipe import Recipe

log = logging.getLogger(__name__)


def export(args: Namespace) -> dict[str, Any]:
    """Write a point to a directory, its report scores measured once."""
    from engine.export.directory import check_output

    out = Path(args.out).expanduser().absolute()
    check_output(out)
    with Session(args) as session:
        (recipe,) = session.recipes()
        result = session.run(
            "export",
            {
                "recipe": recipe.as_dict(),
                "out": str(out),
                "adapter": args.adapter,
                "verify": args.verify,
                "scores": report_scores(session, recipe),
            },
        )
        return {key: result[key] for key in ("out", "files", "verified", "max_logit_difference")}


def report_scores(session: Session, recipe: Recipe) -> list[dict[str, Any]]:
    """Scores on the report split, evaluated where they are not yet, as an export lists them."""
    from engine.scoring.data import read_rows

    held = []
    for objective in session.objectives:
        try:
            read_rows(objective, "report")
        except BadInput:
            log.warning("%s has no rows held back for reporting", objective.name)
            continue
        held.append(objective)
    document = evaluated(session, [recipe], "report", [each.name for each in held])["points"][0]
    return [
        {
            "objective": each.name,
            "scorer": each.scorer,
            "direction": each.direction,
            "split": "report",
            "score": document["scores"][each.name],
        }
        for each in held
        if each.name in document["scores"]
    ]


def merge(args: Namespace) -> dict[str, Any]:
    """Merge what a file asks for."""
    from engine.export.mergefile import merge as merge_file
    from engine.export.shards import parse_size

    return merge_file(
        Path(args.config),
        Path(args.out).expanduser().absolute(),
        dtype=args.dtype,
        shard=parse_size(args.shard_size, "--shard-size"),
        memory=parse_size(args.memory, "--memory"),
        device=args.device,
        workspace=args.workspace,
    )


def demo(args: Namespace) -> dict[str, Any]:
    """Write the shipped study, or train it anew."""
    from engine.demo import write_demo

    out = Path(args.dir).expanduser().absolute()
    if args.train:
        from engine.demo.train import train

        def report(stage: str, done: float) -> None:
            progress(stage, f"{'█' * int(30 * done):<30} {done:5.0%}")

        study = train(out, args.seed, report)
    else:
        study = write_demo(out)
    return {"out": str(out), "study": str(study)}
