"""Servers of points on a thread of the test's process, and the real client for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest

from engine.recipe import recipe_from_dict
from engine.serving.app import build_app
from engine.serving.served import Opening, Served
from engine.serving.server import listen, make_server, url_of
from engine.serving.turns import Turns
from engine.study import load_study
from tests import headless
from tests.families import FamilyFiles, build_tied_family

RECIPES: dict[str, dict[str, Any]] = {
    "logit": {"method": "proxy_tuning", "coefficients": {"helpful": 0.8, "terse": 0.4}},
    "weight": {"method": "task_arithmetic", "coefficients": {"helpful": 0.7}},
    "guided": {
        "method": "guidance",
        "coefficients": {"scale": 0.5, "negative": 0.8},
        "parameters": {"expert": "helpful", "negative_prompt": "be rude"},
    },
}
OBJECTIVES = [{"name": "cost", "scorer": "cost"}]
QUESTION = "who jumps over the dog?"


@dataclass
class Running:
    """A server that runs.

    Attributes:
        ask: arguments of `client.chat.completions.create` that name the model and a question.
    """

    url: str
    served: Served
    turns: Turns
    client: openai.OpenAI
    ask: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")


def client_of(url: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=30)


Serve = Callable[..., Running]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def study(files: FamilyFiles) -> Path:
    return files.study("helpful", "terse", target=True, objectives=OBJECTIVES, name="served")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def serve(home: Path, study: Path) -> Iterator[Serve]:
    """Start a server for a recipe; all end with the tests."""
    ends: list[Callable[[], None]] = []

    def start(recipe: str | dict[str, Any], key: bytes | None = None, **settings: int) -> Running:
        given = RECIPES[recipe] if isinstance(recipe, str) else recipe
        found = load_study(settings.pop("study", study))
        opening = Opening(found, recipe_from_dict(given, "test"), home, "cpu", None, lambda _: None)
        turns = Turns(opening, **settings)
        turns.wait()
        assert opening.served is not None
        bound = listen("127.0.0.1", 0, key)
        bound.listen()
        server = make_server(build_app(opening.served, turns, key))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join()
            bound.close()
            turns.close()
            client.close()

        ends.append(end)
        url = url_of(bound)
        client = client_of(url, "none" if key is None else key.decode())
        messages = [{"role": "user", "content": QUESTION}]
        ask = {"model": opening.served.name, "messages": messages}
        return Running(url, opening.served, turns, client, ask)

    yield start
    for end in ends:
        end()


@pytest.fixture(scope="session")
def logit(serve: Serve) -> Running:
    return serve("logit")


@pytest.fixture(scope="session")
def weight(serve: Serve) -> Running:
    return serve("weight")


@pytest.fixture(scope="session")
def guided(serve: Serve) -> Running:
    """Its passes read different prompts."""
    return serve("guided")


@pytest.fixture
def generated(home: Path, study: Path, files: FamilyFiles) -> Callable[..., list[dict[str, Any]]]:
    """What `engine generate` answers."""

    def outputs(recipe: str, *words: object) -> list[dict[str, Any]]:
        given = RECIPES[recipe]
        file = files.recipe(given["method"], given.get("parameters"), **given["coefficients"])
        ran = headless.run(home, "generate", study, "--recipe", file, "--device", "cpu", *words)
        assert ran.code == 0, ran.err
        found: list[dict[str, Any]] = ran.document["outputs"]
        return found

    return outputs
