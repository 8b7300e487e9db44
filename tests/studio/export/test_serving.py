"""The lines to copy do what they say: the Python among them is run on a real family."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from engine.commands.line import NAME, build_app
from studio.export.serving import limits, serving, without_export


def record(form: str, out: str = "/data/my mixture", **more: Any) -> dict[str, Any]:
    return {"form": form, "out": out, "point": "abc", "rank": 0, "beside": []} | more


def model(name: str, path: str, base: str | None = None) -> dict[str, Any]:
    return {"name": name, "path": path, "base": base}


def compiled(code: str) -> None:
    compile(code, "line", "exec")


def test_a_checkpoint_is_served_by_its_directory() -> None:
    serve, load = serving(record("merged"))
    assert shlex.split(serve.code) == ["vllm", "serve", "/data/my mixture"]
    assert load.language == "python" and "'/data/my mixture'" in load.code
    compiled(load.code)
    assert limits(record("merged")) == ""


def test_an_adapter_is_served_on_its_base() -> None:
    found = record("adapter", rank=20, beside=[model("base", "/models/the base")])
    serve, load = serving(found)
    words = shlex.split(serve.code)
    assert words[:4] == ["vllm", "serve", "/models/the base", "--enable-lora"]
    assert words[words.index("--max-lora-rank") + 1] == "32"
    assert words[words.index("--lora-modules") + 1] == "mixture-abc=/data/my mixture"
    assert "PeftModel" in load.code
    compiled(load.code)
    assert "base must stay" in limits(found)


def test_a_rank_that_vllm_does_not_take_is_said() -> None:
    [line] = serving(record("adapter", rank=600, beside=[model("base", "/b")]))
    assert line.language == "python" and "600" in line.what


def test_a_point_is_served_as_it_is() -> None:
    study, home = Path("/data/my study.yaml"), Path("/data/my workspace")
    line = without_export(study, "0123456789ab", home)
    words = shlex.split(line.code)
    assert words[:3] == [".venv/bin/python", "-m", "engine"]
    found = []
    app = build_app(lambda name, args: found.append((name, args)) or 0)
    with app.make_context(NAME, words[3:]) as context:
        app.invoke(context)
    [(name, args)] = found
    assert (name, args.study, args.wanted) == ("serve", str(study), [("point", "0123456789ab")])
    assert args.workspace == home


def test_a_decoding_folder_is_not_served_by_vllm() -> None:
    beside = [model("target", "/t"), model("base", "/b"), model("terse", "/l", base="/b")]
    [line] = serving(record("decoding", beside=beside))
    compiled(line.code)
    assert "models.pop('target')" in line.code and "trust_remote_code=True" in line.code
    assert "vLLM cannot serve it" in limits(record("decoding", beside=beside))


def test_a_folder_that_writes_each_models_prompt_is_asked() -> None:
    given = record("decoding", beside=[model("base", "/b")], asked=True)
    [line] = serving(given)
    compiled(line.code)
    assert '"asked": ["Who wrote Hamlet?"], "tokenizer": tokenizer' in line.code


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["merged", "adapter", "decoding"])
def test_the_python_lines_run(
    family: Any, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from cache.store import Store
    from engine.jobs.inline import InlineExecutor
    from engine.worker.messages import Job

    study = family.study("helpful", "terse", name="lines", target=True)
    recipe = {"method": "task_arithmetic", "coefficients": {"terse": 0.7}}
    if kind == "decoding":
        recipe["method"] = "proxy_tuning"
    out = tmp_path / "an export"
    payload = {"study": str(study), "recipe": recipe, "out": str(out), "adapter": kind == "adapter"}
    with (
        Store.open(tmp_path / "home") as store,
        InlineExecutor(tmp_path / "home", device="cpu", on_rows=store.append) as executor,
    ):
        executor.submit(Job("export", payload, "test", "interactive")).result(60)
        [found] = store.records("export")
    assert found["form"] == kind and found["out"] == str(out)
    space: dict[str, Any] = {}
    [code] = [line.code for line in serving(found) if line.language == "python"]
    exec(code, space)
    said = capsys.readouterr().out
    assert bool(said) == (kind == "decoding")
    assert space["model"] is not None
