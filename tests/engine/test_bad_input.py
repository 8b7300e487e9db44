"""Every bad input a user can bring: exit 2, one clear message that names the place, no traceback.

What headers, tokenizers and data can tell, `check` tells before any model is opened.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import families, headless
from tests.headless import Ran

ONLY_IN_VALUES = ("nan_weights",)
"""What no header shows; found by reading the weights."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    families.build_tied_family(root)
    return root


@pytest.fixture
def family(sound: Path, tmp_path: Path) -> families.FamilyFiles:
    """A copy to break."""
    root = tmp_path / "family"
    shutil.copytree(sound, root)
    names = ("helpful", "padded", "coder", "terse", "formal")
    return families.FamilyFiles(
        root, root / "base", root / "target", {name: root / name for name in names}
    )


def refused(ran: Ran, *words: str) -> None:
    """Bad input, said in a few lines that name `words`."""
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err + ran.out
    for word in words:
        assert word in ran.err + ran.out, (word, ran)


def generate(family: families.FamilyFiles, study: Path) -> Ran:
    recipe = family.recipe("task_arithmetic", helpful=0.5, terse=0.5)
    return headless.run(
        family.root / "workspace", "generate", study, "--recipe", recipe, "--prompt", "the",
        "--max-new-tokens", 2,
    )  # fmt: skip


class TestModels:
    @pytest.mark.parametrize("name", families.BROKEN_MODELS)
    @pytest.mark.parametrize("model", ["helpful", "base"])
    def test_is_refused(self, family: families.FamilyFiles, name: str, model: str) -> None:
        study = family.study("helpful", "terse")
        place = family.base if model == "base" else family.experts[model]
        families.BROKEN_MODELS[name](place)
        checked = headless.run(family.root / "workspace", "check", study)
        if name in ONLY_IN_VALUES:
            refused(generate(family, study), model)
            return
        refused(checked)
        assert checked.document["ok"] is False
        assert all(each["where"] and each["what"] for each in checked.document["problems"])
        said = str(checked.document["problems"])
        # a base that is not the experts' own can only be told by the experts
        assert f"/{model}" in said or model == "base"
        if model == "helpful":
            refused(generate(family, study), "helpful")

    def test_what_is_named(self, family: families.FamilyFiles) -> None:
        """The tensor, the file, both tokens."""
        place = family.experts["helpful"]
        study = family.study("helpful", "terse")

        def said() -> str:
            return headless.run(family.root / "workspace", "check", study).out

        first, _ = families.other_tokens(place)
        assert f"id {first} " in said()
        assert families.missing_tensor(place) in said()
        assert families.extra_tensor(place) in said()
        assert families.shard_missing(family.base) in said()

    def test_nan_is_named(self, family: families.FamilyFiles) -> None:
        tensor = families.nan_weights(family.experts["helpful"])
        refused(generate(family, family.study("helpful", "terse")), tensor, "helpful")

    def test_added_tokens_that_no_row_embeds(self, family: families.FamilyFiles) -> None:
        """The tokenizer named must be covered by the rows."""
        families.build_tokenizer(family.base, families.ADDED)
        refused(
            headless.run(family.root / "workspace", "check", family.study("helpful", "terse")),
            "base",
        )


class TestStudies:
    @pytest.mark.parametrize("name", families.BROKEN_STUDIES)
    def test_is_refused(self, family: families.FamilyFiles, name: str) -> None:
        study = family.study("helpful", "terse")
        line = families.BROKEN_STUDIES[name](study)
        for command in ("check", "evaluate"):
            more = ()
            if command == "evaluate":
                more = ("--recipe", family.recipe("task_arithmetic", helpful=0.5))
            ran = headless.run(family.root / "workspace", command, study, *more)
            refused(ran)
            if line is not None:
                assert f"exact.jsonl:{line}" in ran.out + ran.err

    def test_all_problems_at_once(self, family: families.FamilyFiles) -> None:
        """A broken expert and a broken line are told together."""
        study = family.study("helpful", "terse")
        tensor, line = families.missing_tensor(family.experts["helpful"]), None
        line = families.missing_key(study)
        ran = headless.run(family.root / "workspace", "check", study)
        refused(ran, tensor, f"exact.jsonl:{line}")


class TestRecipes:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("method: pbc\n", ("pbc", "pcb")),
            ("method: pcb\ncoefficients: {helpfull: 1}\n", ("helpfull", "helpful")),
            ("method: pcb\nparameters: {ratio: 1.5}\n", ("ratio", "1.5")),
            ("method: pcb\nparameters: {variant: mian}\n", ("mian", "main")),
            ("method: pcb\ncoefficients: {helpful: .nan}\n", ("helpful", "nan")),
            ("method: pcb\ncoefficients: {helpful: [1]}\n", ("helpful",)),
            ("method: linear\ncoefficients: {base: 1, helpful: -1}\n", ("linear", "0")),
            ("method: linear\n", ("linear", "0")),
            ("method: single\nparameters: {model: target}\n", ("target",)),
            ("method: single\n", ("model",)),
            ("method: task_arithmetic\nweights: {helpful: 1}\n", ("weights",)),
            ("coefficients: {helpful: 1}\n", ("method",)),
            ("- method\n", ("method",)),
            ("method: [\n", ("recipe.yaml",)),
            (
                "method: logit_fusion\ncoefficients: {base: 1, helpful: -0.5}\n"
                "parameters: {kind: forward_kl}\n",
                ("helpful", "-0.5"),
            ),
        ],
    )
    def test_is_refused(
        self, family: families.FamilyFiles, text: str, words: tuple[str, ...]
    ) -> None:
        recipe = family.root / "recipe.yaml"
        recipe.write_text(text)
        ran = headless.run(
            family.root / "workspace", "generate", family.study("helpful", "terse"), "--recipe",
            recipe, "--prompt", "the",
        )  # fmt: skip
        refused(ran, *words)
        assert ran.out == ""

    def test_missing_files(self, family: families.FamilyFiles) -> None:
        workspace, study = family.root / "workspace", family.study("helpful", "terse")
        gone = family.root / "gone.yaml"
        refused(headless.run(workspace, "check", gone), "gone.yaml")
        refused(
            headless.run(workspace, "generate", study, "--recipe", gone, "--prompt", "a"),
            "gone.yaml",
        )
        refused(
            headless.run(workspace, "generate", study, "--point", "0123456789ab", "--prompt", "a"),
            "0123456789ab",
        )

    def test_output_that_is_there(self, family: families.FamilyFiles, tmp_path: Path) -> None:
        """Nothing is overwritten."""
        out = tmp_path / "out"
        out.mkdir()
        (out / "mine.txt").write_text("mine")
        ran = headless.run(
            family.root / "workspace", "export", family.study("helpful", "terse"), "--recipe",
            family.recipe("task_arithmetic", helpful=0.5), out,
        )  # fmt: skip
        refused(ran, "out")
        assert [file.name for file in out.iterdir()] == ["mine.txt"]

    def test_merge_of_what_does_not_fit(self, family: families.FamilyFiles, tmp_path: Path) -> None:
        config = tmp_path / "merge.yaml"
        config.write_text(
            f"method: linear\ncoefficients: {{a: 1}}\nbase: {family.base}\n"
            f"experts: {{a: {family.target}}}\n"
        )
        ran = headless.run(family.root / "workspace", "merge", config, tmp_path / "out")
        refused(ran, "a ")
        assert not (tmp_path / "out").exists()


def test_a_sound_family_is_accepted(family: families.FamilyFiles) -> None:
    """The other side of all of the above."""
    study = family.study("helpful", "terse", "formal", target=True)
    ran = headless.run(family.root / "workspace", "check", study)
    assert ran.code == 0 and ran.document["ok"] is True and ran.document["problems"] == []
    assert generate(family, study).code == 0
