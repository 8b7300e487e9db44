"""serve: one point behind the OpenAI protocol until it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session, progress
from studio.sweeps.stopped import refuse_stopped

BACKLOG = 128


def serve(args: SimpleNamespace) -> Iterator[dict[str, Any]]:
    """Serve one recipe; says where once the model is loaded, and goes on until an interrupt."""
    from engine.serving.server import api_key, listen, make_server, url_of

    key = api_key(args.api_key_file)
    with listen(args.host, args.port, key) as bound:
        with Session(args) as session:
            (recipe,) = session.recipes()
            refuse_stopped(session, recipe, "served")
            study = session.study
        from engine.serving.app import build_app  # imports torch: bad input is reported sooner
        from engine.serving.served import Opening
        from engine.serving.turns import Turns

        progress("loading the models")
        opening = Opening(study, recipe, args.workspace, args.device, args.compute_dtype, progress)
        turns = Turns(opening, args.parallel)
        try:
            model = turns.wait()
            assert opening.served is not None
            server = make_server(build_app(opening.served, turns, key))
            bound.listen(BACKLOG)
            yield {
                "url": url_of(bound),
                "model": opening.served.name,
                "recipe": model.recipe.as_dict(),
            }
            server.run(sockets=[bound])
        finally:
            turns.close()
