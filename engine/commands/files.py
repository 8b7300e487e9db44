"""export, demo: write directories from a study, or write the study itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.commands.merging import output_path
from engine.commands.session import Session, progress
from engine.private import share
from studio.sweeps.stopped import refuse_stopped


def export(args: SimpleNamespace) -> dict[str, Any]:
    """Write a point to a directory, its report scores measured once."""
    from engine.export.directory import check_output

    out = output_path(args.out)
    check_output(out)
    with Session(args) as session:
        (recipe,) = session.recipes()
        refuse_stopped(session, recipe, "exported")
        from engine.export.point import check_export  # imports torch: bad input is reported sooner

        check_export(recipe, session.family, out, adapter=args.adapter)
        session.open()
        payload = session.export_payload(recipe, out, adapter=args.adapter)
        result = session.run("export", payload)
        return {key: result[key] for key in ("out", "files", "verified", "max_logit_difference")}


def demo(args: SimpleNamespace) -> dict[str, Any]:
    """Write the shipped demo study, or retrain it."""
    from engine.demo import write_demo

    out = output_path(args.dir)
    if args.train:
        from engine.demo.train import train

        def report(stage: str, done: float) -> None:
            progress(stage, f"{'█' * int(30 * done):<30} {done:5.0%}")

        study = train(out, args.seed, report)
    else:
        study = write_demo(out)
    share([out, *out.rglob("*")])
    return {"out": str(out), "study": str(study)}
