"""What a shell sees of bad input: exit 2, words on standard error that name the place and what to
do, nothing on standard output, no model loaded and nothing written.

`tests/engine/test_bad_input.py` asks what `check` finds in a family; here are the streams, every
command, and what lies around the models: outputs, workspaces, options, tables.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.__main__ import main
from tests import families
from tests.engine.jobs.small import build_small_study

_turn = itertools.count()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    build_small_study(root)
    (root / "recipe.yaml").write_text("method: task_arithmetic\ncoefficients: {helpful: 0.5}\n")
    (root / "merge.yaml").write_text(
        "method: task_arithmetic\ncoefficients: {helpful: 0.5}\n"
        "base: base\nexperts: {helpful: helpful}\n"
    )
    (root / "points.csv").write_text("id,a,b\nx,1,2\ny,2,1\n")
    return root


@dataclass(frozen=True)
class Shell:
    """One study directory and the streams of this process."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.capsys.readouterr()
        try:
            code = main([*map(str, words), "--workspace", str(self.root / "workspace")])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self.capsys.readouterr()
        return code, out, err

    def refused(self, *words: object, names: tuple[object, ...] = ()) -> str:
        """Run, in turns with and without --json; returns what was said."""
        before = self.files()
        json_too = () if next(_turn) % 2 else ("--json",)
        code, out, err = self.run(*words, *json_too)
        assert (code, out) == (2, ""), (code, out, err)
        assert err.strip() and "Traceback" not in err
        for each in names:
            assert str(each) in err, (each, err)
        assert self.files() == before, "something was written"
        return err

    def files(self) -> set[str]:
        """All files but those of the workspace, which holds no result."""
        return {
            str(each.relative_to(self.root))
            for each in self.root.rglob("*")
            if "workspace" not in each.parts
        }

    def write(self, name: str, text: str) -> Path:
        place = self.root / name
        place.write_text(text, encoding="utf-8")
        return place

    def change_study(self, change: Callable[[dict[str, Any]], None]) -> None:
        document = yaml.safe_load((self.root / "study.yaml").read_text())
        change(document)
        self.write("study.yaml", yaml.safe_dump(document, sort_keys=False))

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    def commands(self) -> dict[str, tuple[object, ...]]:
        """Every command that opens the study, as it would run on sound input."""
        recipe = ("--recipe", self.root / "recipe.yaml")
        return {
            "generate": ("generate", self.study, *recipe, "--prompt", "the"),
            "evaluate": ("evaluate", self.study, *recipe),
            "sweep": ("sweep", self.study, "--method", "task_arithmetic", "--points", 2,
                      "--executor", "inline"),
            "export": ("export", self.study, *recipe, self.root / "out"),
            "front": ("front", self.study),
            "recommend": ("recommend", self.study, "--weight", "has=1"),
        }  # fmt: skip


@pytest.fixture
def shell(
    sound: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """A copy to break, in a process where loading a model is a failure."""
    from engine import compose

    def loads(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(compose, "load_module", loads)
    root = tmp_path / "study"
    shutil.copytree(sound, root)
    return Shell(root, capsys)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB: less than the merged model."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("no right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


class TestModels:
    @pytest.mark.parametrize("name", families.BROKEN_MODELS)
    def test_every_command_refuses_a_broken_expert(self, shell: Shell, name: str) -> None:
        families.BROKEN_MODELS[name](shell.root / "helpful")
        for command in shell.commands().values():
            shell.refused(*command, names=(shell.root / "helpful",))

    @pytest.mark.parametrize(
        "name", [each for each in families.BROKEN_MODELS if each != "other_tokens"]
    )
    def test_merge_refuses_it_too(self, shell: Shell, name: str) -> None:
        families.BROKEN_MODELS[name](shell.root / "helpful")
        out = shell.root / "out"
        shell.refused("merge", shell.root / "merge.yaml", out, names=(shell.root / "helpful",))

    def test_both_sides_of_a_disagreement(self, shell: Shell) -> None:
        families.other_architecture(shell.root / "helpful")
        shell.refused(*shell.commands()["export"], names=("mistral", "llama"))
        families.other_hidden_size(shell.root / "helpful")
        shell.refused(*shell.commands()["export"], names=("[32, 96]", "[32, 48]"))

    def test_check_says_it_on_both_streams(self, shell: Shell) -> None:
        """Its document is its result, its message is for people."""
        tensor = families.missing_tensor(shell.root / "helpful")
        code, out, err = shell.run("check", shell.study, "--json")
        assert code == 2 and tensor in err
        document = json.loads(out)
        assert document["ok"] is False and tensor in document["problems"][0]["what"]
        shell.capsys.readouterr()
        code, out, err = shell.run("check", shell.study)
        assert (code, out) == (2, "") and tensor in err


class TestStudies:
    @pytest.mark.parametrize("name", families.BROKEN_STUDIES)
    def test_every_command_refuses_a_broken_study(self, shell: Shell, name: str) -> None:
        line = families.BROKEN_STUDIES[name](shell.study)
        place = f"rows.jsonl:{line}" if line else shell.root
        for command in shell.commands().values():
            shell.refused(*command, names=(place,))
        assert not (shell.root / "workspace").exists()
        code, out, err = shell.run("check", shell.study, "--json")
        assert code == 2 and json.loads(out)["ok"] is False and str(place) in err

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("[1, 2]", ("rows.jsonl:2", "object")),
            ('{"prompt": 3, "target": "a"}', ("rows.jsonl:2", "prompt")),
            ('{"prompt": "a", "target": ["b"]}', ("rows.jsonl:2", "target")),
            ('{"target": "a"}', ("rows.jsonl:2", "prompt")),
            ('{"prompt": "a", "target": "b"} x', ("rows.jsonl:2",)),
            ('{"prompt": NaN, "target": "b"}', ("rows.jsonl:2",)),
            ("", ()),
        ],
    )
    def test_a_line_of_data(self, shell: Shell, row: str, words: tuple[str, ...]) -> None:
        lines = (shell.root / "rows.jsonl").read_text().splitlines()
        if not row:  # an empty line is passed over, bytes that are no text are not
            (shell.root / "rows.jsonl").write_bytes(b'{"prompt": "\xff"}\n')
            words = ("rows.jsonl", "UTF-8")
        else:
            shell.write("rows.jsonl", "\n".join([lines[0], row, *lines[1:]]) + "\n")
        shell.refused(*shell.commands()["evaluate"], names=words)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"ignore_cse": True}, ("ignore_cse", "ignore_case")),
            ({"ignore_case": "yes"}, ("ignore_case",)),
            ({"chat": 3}, ("chat", "true or false")),
            ({"limit": -1}, ("limit", "-1")),
            ({"direction": "maximise"}, ("maximise", "maximize")),
            ({"data": "."}, ("objective has",)),
            ({"data": None}, ("data",)),
        ],
    )
    def test_a_key_of_an_objective(
        self, shell: Shell, change: dict[str, Any], words: tuple[str, ...]
    ) -> None:
        shell.change_study(lambda document: document["objectives"][0].update(change))
        shell.refused(*shell.commands()["generate"], names=words)

    def test_a_study_that_is_not_there(self, shell: Shell) -> None:
        for place, word in (
            (shell.root / "gone.yaml", "no such file"),
            (shell.root / "gone" / "study.yaml", "no such file"),
            (shell.root / "base", "no such file"),
            (shell.root / "recipe.yaml" / "x", "cannot be read"),
            ("a" * 5000, "File name too long"),
        ):
            shell.refused("evaluate", place, "--recipe", "r", names=(word,))


class TestRecipes:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("method: task_arithmetics\n", ("task_arithmetics", "mean task_arithmetic?")),
            ("method: pcb\ncoefficients: {helpfull: 1}\n", ("helpfull", "mean helpful?")),
            ("method: pcb\nparameters: {rato: 0.1}\n", ("rato", "mean ratio?")),
            ("method: pcb\nparameters: {ratio: 2}\n", ("ratio", "(0, 1]")),
            ("method: pcb\ncoefficients: {helpful: .inf}\n", ("helpful", "inf")),
            ("method: pcb\ncoefficients: {helpful: half}\n", ("helpful", "'half'")),
            ("method: pcb\nmethod: linear\n", (":2", "appears twice")),
            ("method: {\n", ("recipe.yaml:2",)),
            ("", ("recipe.yaml", "expected a mapping")),
        ],
    )
    def test_a_recipe_that_cannot_be(self, shell: Shell, text: str, words: tuple[str, ...]) -> None:
        shell.write("recipe.yaml", text)
        for name in ("generate", "evaluate", "export"):
            shell.refused(*shell.commands()[name], names=("recipe.yaml", *words))

    def test_a_merge_file_that_cannot_be(self, shell: Shell) -> None:
        merge, out = shell.root / "merge.yaml", shell.root / "out"
        good = merge.read_text()
        for text, words in (
            (good.replace("task_arithmetic", "task_arithmetik"), ("mean task_arithmetic?",)),
            (good.replace("{helpful: 0.5}", "{helpfull: 0.5}"), ("mean helpful?",)),
            (good.replace("base: base", "bass: base"), ("'base' is missing", "bass")),
            (good.replace("0.5", ".nan"), ("helpful", "nan")),
            (good.replace("task_arithmetic", "proxy_tuning"), ("weight-space",)),
            (good + "slices: []\n", ("slices",)),
            ("merge_method: slurp\n", ("slurp", "task_arithmetic")),
            ("merge_method: linear\nmodels: []\n", ("no models are listed",)),
            (good + "  - x\n", ("merge.yaml:",)),
        ):
            merge.write_text(text)
            shell.refused("merge", merge, out, names=("merge.yaml", *words))
        shell.refused("merge", shell.root / "gone.yaml", out, names=("gone.yaml", "no such file"))

    def test_points_and_recipes_asked_for(self, shell: Shell) -> None:
        study, recipe = shell.study, shell.root / "recipe.yaml"
        for words, said in (
            (("generate", study, "--prompt", "a"), "neither --recipe nor --point"),
            (("generate", study, "--prompt", "a", "--point", "0123456789ab"), "0123456789ab"),
            (("evaluate", study, "--point", "nope"), "nope"),
            (("export", study, shell.root / "out", "--recipe", recipe, "--point", "x"), "several"),
            (("export", study, shell.root / "out", "--recipe", recipe, "--adapter"), "--adapter"),
            (("generate", study, "--recipe", recipe), "--prompt"),
        ):
            shell.refused(*words, names=(said,))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--temperature", "nan"), ("--temperature", "finite")),
            (("--temperature", "-1"), ("temperature",)),
            (("--temperature", "warm"), ("--temperature", "'warm' is not a number")),
            (("--top-p", "1.5"), ("top_p",)),
            (("--top-k", "-1"), ("--top-k", "-1")),
            (("--seed", str(10**30)), ("--seed", "2^62")),
            (("--seed", "-1"), ("--seed",)),
            (("--max-new-tokens", "0"), ("--max-new-tokens", "1 or more")),
            (("--max-new-tokens", "many"), ("--max-new-tokens", "many")),
            (("--stop", ""), ("stop",)),
            (("--device", "tpu"), ("--device", "'tpu'")),
            (("--device", "meta"), ("--device", "'meta'")),
            (("--compute-dtype", "float61"), ("--compute-dtype", "mean float16")),
            (("--compute-dtype", "int8"), ("--compute-dtype", "float32")),
            (("--nope",), ("--nope",)),
        ],
    )
    def test_of_generate(
        self, shell: Shell, options: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        shell.refused(*shell.commands()["generate"], *options, names=words)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--method", "pbc", "--points", "4"), ("pbc", "mean pcb?")),
            (("--method", "single", "--points", "4"), ("single", "no coefficients")),
            (("--method", "pcb", "--points", "0"), ("--points", "0")),
            (("--method", "pcb", "--points", "x"), ("--points", "x")),
            (("--method", "pcb"), ("--points",)),
            (("--method", "pcb", "--points", "4", "--objectives", "hass"), ("hass", "mean has")),
            (("--method", "pcb", "--points", "4", "--strategy", "random"), ("random", "sobol")),
            (("--method", "pcb", "--points", "4", "--strategy", "anneal"), ("anneal", "grid")),
            (("--method", "pcb", "--points", "4", "--executor", "ray"), ("ray", "local")),
            (("--method", "pcb", "--points", "4", "--seed", str(10**30)), ("--seed",)),
        ],
    )
    def test_of_sweep(self, shell: Shell, options: tuple[str, ...], words: tuple[str, ...]) -> None:
        shell.refused("sweep", shell.study, *options, names=words)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--shard-size", "5XB"), ("--shard-size", "5XB")),
            (("--memory", "lots"), ("--memory", "lots")),
            (("--memory", "1KB"), ("--memory", "Allow at least")),
            (("--dtype", "float61"), ("--dtype", "mean float16")),
            (("--device", "cuda:99"), ("--device",)),
        ],
    )
    def test_of_merge(self, shell: Shell, options: tuple[str, ...], words: tuple[str, ...]) -> None:
        merge = ("merge", shell.root / "merge.yaml", shell.root / "out")
        shell.refused(*merge, *options, names=words)

    def test_of_a_front_of_a_study(self, shell: Shell) -> None:
        _, study = shell.commands()["front"]
        refused = ("--directions", "directions of their own", "--csv")
        shell.refused("front", study, "--directions", "min,max", names=refused)
        shell.refused("recommend", study, "--weight", "has=1", "--directions", "min", names=refused)

    def test_of_evaluate(self, shell: Shell) -> None:
        command = shell.commands()["evaluate"]
        shell.refused(*command, "--objectives", "has,los", names=("los", "mean loss"))
        shell.refused(*command, "--split", "test", names=("test", "explore"))
        shell.refused("evaluat", names=("evaluat",))

    @pytest.mark.parametrize(
        ("words", "names"),
        [
            (("front",), ("neither a study nor --csv",)),
            (("front", "--csv", "gone.csv", "--directions", "max"), ("gone.csv",)),
            (("front", "--csv", "points.csv", "--directions", "max"), ("2 objectives", "1 dir")),
            (("front", "--csv", "points.csv", "--directions", "max,up"), ("up",)),
            (("front", "--csv", "points.csv", "--directions", "max,max", "--objectives", "c"),
             ("'c'", "a, b")),
            (("front", "--csv", "points.csv", "--directions", "max,max", "--reference", "1"),
             ("reference",)),
            (("front", "--csv", "points.csv", "--directions", "max,max", "--reference", "1,x"),
             ("--reference", "'x' is not a number")),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "c=1"),
             ("'c'",)),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a=-1"),
             ("a", "-1")),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a=0"),
             ("weight",)),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a=1",
              "a=2"), ("--weight", "a has two weights, 1 and 2")),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a"),
             ("name=value",)),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a=nan"),
             ("--weight", "finite")),
            (("recommend", "--csv", "points.csv", "--directions", "max,max", "--weight", "a=1",
              "--at-least", "c=1"), ("'c'",)),
        ],
    )  # fmt: skip
    def test_of_tables(
        self,
        shell: Shell,
        words: tuple[str, ...],
        names: tuple[str, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(shell.root)
        shell.refused(*words, names=names)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", ("points.csv", "empty")),
            (b"id,a,b\nx,1\n", ("points.csv:2", "2 cells")),
            (b"id,a,b\nx,1,2\nx,2,1\n", ("points.csv:3", "'x'", "line 2")),
            (b"id,a,a\nx,1,2\n", ("points.csv:1", "'a'")),
            (b"id,a,b\n\xff,1,2\n", ("points.csv", "UTF-8")),
            (b'id,a,b\n"x,1,2\n', ("points.csv",)),
        ],
    )
    def test_a_table(self, shell: Shell, content: bytes, words: tuple[str, ...]) -> None:
        table = shell.root / "points.csv"
        table.write_bytes(content)
        shell.refused("front", "--csv", table, "--directions", "max,max", names=words)


class TestOutputs:
    def outputs(self, shell: Shell) -> Iterator[tuple[Path, tuple[str, ...]]]:
        full = shell.root / "full"
        full.mkdir()
        (full / "mine").write_text("mine")
        yield full, ("full", "not empty")
        yield shell.root / "recipe.yaml", ("recipe.yaml", "not a directory")
        yield shell.root / "recipe.yaml" / "out", ("recipe.yaml is not a directory",)
        yield shell.root / ("x" * 300), ("File name too long",)
        yield Path("~no-such-user/out"), ("~no-such-user/out",)

    def test_an_output_that_cannot_be(self, shell: Shell) -> None:
        for out, words in self.outputs(shell):
            shell.refused(
                "export", shell.study, "--recipe", shell.root / "recipe.yaml", out, names=words
            )
            shell.refused("merge", shell.root / "merge.yaml", out, names=words)
        assert (shell.root / "full" / "mine").read_text() == "mine"

    def test_a_read_only_place(self, shell: Shell, small_disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        out = small_disk / "out"
        words = (small_disk, "not writable")
        shell.refused("merge", shell.root / "merge.yaml", out, names=words)
        recipe = shell.root / "recipe.yaml"
        shell.refused("export", shell.study, "--recipe", recipe, out, names=words)

    def test_too_little_room_is_told_before(self, shell: Shell, small_disk: Path) -> None:
        out = small_disk / "out"
        (small_disk / "other").write_bytes(b"x" * 40_000)
        words = ("kB are needed", "Free some space")
        shell.refused("merge", shell.root / "merge.yaml", out, names=words)
        assert [each.name for each in small_disk.iterdir()] == ["other"]

    def test_a_disk_that_fills_up_while_merging(
        self, shell: Shell, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from engine.export import directory

        monkeypatch.setattr(directory, "check_output", lambda *_: None)  # the room went meanwhile
        (small_disk / "other").write_bytes(b"x" * 30_000)
        out = small_disk / "out"
        code, said, err = shell.run("merge", shell.root / "merge.yaml", out, "--json")
        assert (code, said) == (1, "")
        assert f"{out}: the disk is full" in err and "Traceback" not in err
        assert [each.name for each in small_disk.iterdir()] == ["other"]

    def test_a_disk_that_fills_up_while_exporting(
        self, sound: Path, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """With the model loaded, as it must be by then."""
        from engine.export import directory, point

        shell = Shell(tmp_path, capsys)
        monkeypatch.setattr(directory, "check_output", lambda *_: None)
        monkeypatch.setattr(point, "check_output", lambda *_: None)
        (small_disk / "other").write_bytes(b"x" * 30_000)
        recipe, out = sound / "recipe.yaml", small_disk / "out"
        code, said, err = shell.run("export", sound / "study.yaml", "--recipe", recipe, out)
        assert (code, said) == (1, "")
        assert f"{out}: the disk is full" in err and "Traceback" not in err
        assert [each.name for each in small_disk.iterdir()] == ["other"]

    def test_a_demo_where_something_is(self, shell: Shell) -> None:
        (shell.root / "here").mkdir()
        shell.write("here/mine", "mine")
        shell.refused("demo", shell.root / "here", names=("here",))
        shell.refused("demo", shell.root / "recipe.yaml", names=("recipe.yaml",))


class TestWorkspace:
    def test_a_file_is_in_its_place(self, shell: Shell) -> None:
        (shell.root / "workspace").write_text("mine")
        for command in shell.commands().values():
            shell.refused(*command, names=("workspace", "cannot be written", "--workspace"))
        assert (shell.root / "workspace").read_text() == "mine"

    def test_it_is_read_only(self, shell: Shell, small_disk: Path) -> None:
        (small_disk / "workspace").mkdir()
        (shell.root / "workspace").symlink_to(small_disk / "workspace")
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        for command in shell.commands().values():
            shell.refused(*command, names=("workspace", "Read-only", "--workspace"))

    def test_a_merge_needs_none(self, shell: Shell) -> None:
        """What it would remember there only saves time."""
        (shell.root / "workspace").write_text("mine")
        os.utime(shell.root / "base/model.safetensors", (1, 1))  # settled, so worth remembering
        out = shell.root / "out"
        code, said, _ = shell.run("merge", shell.root / "merge.yaml", out, "--json")
        assert code == 0 and json.loads(said)["out"] == str(out)


def test_sound_input_is_accepted(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other side of all of the above."""
    shell = Shell(sound, capsys)
    assert shell.run("check", shell.study)[0] == 0
    code, out, _ = shell.run(*shell.commands()["generate"], "--max-new-tokens", 2, "--json")
    assert code == 0 and json.loads(out)["outputs"][0]["prompt"] == "the"
    shutil.rmtree(sound / "workspace")
