"""`engine serve` as a process: says where, answers, ends by an interrupt; and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests import headless
from tests.engine.jobs.small import build_small_study, recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("small"))


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe(helpful=0.5)), encoding="utf-8")
    return file


def test_it_serves_until_it_is_interrupted(study: Path, mixture: Path, tmp_path: Path) -> None:
    words = ["serve", study, "--recipe", mixture, "--port", 0, "--device", "cpu", "--json"]
    words += ["--workspace", tmp_path / "home"]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *map(str, words)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PARETOSCOPE_API_KEY": ""},
        # ignored where the tests run in a shell's background
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert document["recipe"]["coefficients"] == {"helpful": 0.5}
        ask = {"model": document["model"], "prompt": "the quick", "max_tokens": 3}
        request = urllib.request.Request(
            document["url"] + "/completions", json.dumps(ask).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        assert found["choices"][0]["finish_reason"] in ("length", "stop")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "0.0.0.0"), "API key"),
        (("--api-key-file", "gone"), "gone"),
        (("--port", "65536"), "65535"),
        (("--parallel", "0"), "1 or more"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_message(
    study: Path, mixture: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    ran = headless.run(tmp_path / "home", "serve", study, "--recipe", mixture, *words)
    assert (ran.code, ran.out) == (2, "") and told in ran.err and "Traceback" not in ran.err


def test_a_point_that_is_not_there(study: Path, tmp_path: Path) -> None:
    ran = headless.run(tmp_path / "home", "serve", study, "--point", "0123456789ab", "--port", 0)
    assert (ran.code, ran.out) == (2, "") and "0123456789ab" in ran.err
