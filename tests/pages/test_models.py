"""The Models page, driven without a browser."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, resolve
from engine.study import load_study
from engine.study_family import Wording
from studio.external.points import externals_of
from studio.workbench import Workbench
from tests.app_fixtures import OBJECTIVES, page, texts, until, widget
from tests.engine.scoring.published import write
from tests.families import FamilyFiles
from tests.pages import toy
from ui import opened


def ended(bench: Workbench, name: str) -> None:
    until(lambda: any(s.endswith(name) and t.status.over for s, t in bench._tasks.items()))


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


@pytest.fixture
def own(family: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A copy of the study that a test may write to, with a comment, chosen."""
    document = yaml.safe_load((family.root / "pair.yaml").read_text())
    spec = document["family"]
    spec["base"], spec["target"] = str(family.base), str(family.target)
    spec["experts"] = {name: str(family.experts[name]) for name in spec["experts"]}
    document["objectives"] = [
        {**each, "data": str(family.root / each["data"])} for each in OBJECTIVES
    ]
    path = tmp_path / "own" / "study.yaml"
    path.parent.mkdir()
    path.write_text("# ours\n" + yaml.safe_dump(document, sort_keys=False))
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(path))
    return path


def listed(at: AppTest, column: str) -> dict[str, list[str]]:
    """Column -> its texts, of the table that has this one; a path is whole, as it is copied."""
    for each in at.get("html"):
        if each.proto.body.startswith("<table") and f">{column}<" in each.proto.body:
            names, *rows = ElementTree.fromstring(each.proto.body).iter("tr")
            texts = [["".join(cell.itertext()) for cell in row] for row in rows]
            return dict(
                zip(
                    ("".join(e.itertext()) for e in names),
                    map(list, zip(*texts, strict=True)),
                    strict=True,
                )
            )
    raise AssertionError(f"no table has {column}")


def test_the_family_is_shown_with_every_check(bench: Workbench, family: FamilyFiles) -> None:
    at = page("models").run()
    assert not at.exception
    models = listed(at, "model")
    assert models["model"] == ["base", "target", "helpful", "terse"]
    assert models["kind"] == ["base", "target", "expert, full", "expert, LoRA"]
    assert models["architecture"][3].startswith("LoRA of rank 4 on ")
    assert models["directory"][2] == str(family.experts["helpful"])
    assert listed(at, "objective")["data"][0].endswith("data/exact.jsonl")
    shown = texts(at)
    for check in ("Architecture", "Tensors and shapes", "Token ids", "Vocabulary rows", "Dtype",
                  "Chat template", "Values"):  # fmt: skip
        assert f"✓ {check}" in shown
    assert "Every value of every model is a finite number." in shown
    assert "Weight space at most" in shown and "Free in this machine's main memory" in shown


def test_task_vectors_are_measured_once_and_kept(bench: Workbench) -> None:
    at = page("models").run()
    press(at, "measure_vectors")
    ended(bench, ":geometry")
    at = page("models").run()
    assert not at.exception
    assert "measure_vectors" not in [each.key for each in at.button]
    norms = next(each.value for each in at.dataframe if "helpful %" in each.value)
    assert list(norms["helpful %"]) == pytest.approx([10, 10, 10])
    assert list(norms["terse %"]) == pytest.approx([20, 20, 20])
    cosines = next(each.value for each in at.dataframe if "expert" in each.value)
    assert cosines["terse"][0] == 0.0
    widget(at.selectbox, "Over").set_value("layer 0").run()
    assert not at.exception


def test_a_study_file_is_opened_by_its_path(bench: Workbench, own: Path, study: Path) -> None:
    at = page("models").run()
    widget(at.text_input, "Study file or its directory, on this server").set_value(str(own.parent))
    widget(at.button, "Open this study").click().run()
    assert not at.exception
    assert at.session_state["study"] == str(own)


@pytest.mark.parametrize("typed", ["/nowhere/study.yaml", "~nobody-here/x"])
def test_a_path_that_leads_nowhere_is_said_and_kept(bench: Workbench, typed: str) -> None:
    at = page("models").run()
    field = widget(at.text_input, "Study file or its directory, on this server")
    field.set_value(typed)
    widget(at.button, "Open this study").click().run()
    assert not at.exception
    assert "This study cannot be opened." in texts(at)
    assert "pair" in texts(at)  # the study that was open still is
    assert widget(at.text_input, "Study file or its directory, on this server").value == typed


def test_recent_studies_are_one_click_away(home: Path, own: Path, study: Path) -> None:
    page("models").run()
    at = page("models")
    at.query_params["study"] = str(study)
    at.run()
    assert not at.exception
    press(at, f"recent:{own}")
    assert not at.exception
    assert at.session_state["study"] == str(own)


def test_where_a_study_cannot_be_opened_another_can(
    home: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page("models").run()
    broken = tmp_path / "broken.yaml"
    broken.write_text("study: pair\nfamily: {base: nowhere}\nobjectives: []\n")
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(broken))
    at = page("models").run()
    assert not at.exception
    assert "family.experts" in texts(at)
    press(at, f"recent:{study}")
    assert not at.exception
    assert at.session_state["study"] == str(study)


def fill(at: AppTest, family: FamilyFiles, place: Path, **experts: str) -> None:
    at.text_input(key="new_name").set_value("mine")
    at.text_input(key="new_place").set_value(str(place))
    at.text_input(key="new_base").set_value(str(family.base))
    for row, (name, directory) in enumerate(experts.items()):
        at.text_input(key=f"expert_name:{row}").set_value(name)
        at.text_input(key=f"expert_place:{row}").set_value(directory)


def test_directories_become_a_study(bench: Workbench, family: FamilyFiles, tmp_path: Path) -> None:
    at = page("models").run()
    place = tmp_path / "new" / "trio"
    fill(at, family, place, one=str(family.experts["helpful"]), two=str(family.experts["terse"]))
    press(at, "check_study")
    assert "These models fit together." in texts(at)
    assert not place.exists()
    press(at, "expert_more")
    at.text_input(key="expert_name:2").set_value("three")
    at.text_input(key="expert_place:2").set_value(str(family.experts["formal"]))
    at.text_input(key="new_target").set_value(str(family.target)).run()
    at.selectbox(key="new_tokenizer").set_value("one")
    at.text_area(key="words_system:expert:1").set_value("be short")
    press(at, "expert_out:0")  # each keeps its own
    assert at.text_area(key="words_system:expert:1").label == "System prompt of two"
    press(at, "expert_more")
    at.text_input(key="expert_name:3").set_value("one")
    at.text_input(key="expert_place:3").set_value(str(family.experts["helpful"])).run()
    at.selectbox(key="new_tokenizer").set_value("one")
    at.text_area(key="words_prefix:target").set_value("Q: ")
    press(at, "write_study")
    assert not at.exception
    written = load_study(place / "study.yaml")
    assert at.session_state["study"] == str(written.path)
    assert written.name == "mine" and written.family.tokenizer == "one"
    assert dict(written.family.experts) == {
        "one": family.experts["helpful"], "two": family.experts["terse"],
        "three": family.experts["formal"],
    }  # fmt: skip
    assert written.family.target == family.target
    assert written.family.templates == {
        "target": Wording(prefix="Q: "), "two": Wording(system="be short"),
    }  # fmt: skip
    assert [each.scorer for each in written.objectives] == ["cost"]


def test_directories_that_do_not_fit_are_all_said_and_nothing_is_written(
    bench: Workbench, family: FamilyFiles, tmp_path: Path
) -> None:
    at = page("models").run()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    fill(at, family, tmp_path / "new", one=str(tmp_path / "pickled"), two=str(tmp_path / "empty"))
    press(at, "write_study")
    assert not at.exception
    shown = texts(at)
    assert "Nothing was written." in shown
    assert ".bin" in shown and "neither config.json nor adapter_config.json" in shown
    assert not (tmp_path / "new").exists()
    assert at.text_input(key="expert_name:1").value == "two"
    press(at, "expert_out:0")
    assert [each.value for each in at.text_input if each.label.startswith("Name of exp")] == ["two"]


def test_form_errors_come_together_each_beside_its_field(
    bench: Workbench, family: FamilyFiles, tmp_path: Path
) -> None:
    at = page("models").run()
    taken = tmp_path / "taken.yaml"
    taken.write_text("mine")
    fill(at, family, taken, one=str(tmp_path / "nowhere"), two="")
    at.text_input(key="new_name").set_value("a=b")
    press(at, "check_study")
    assert not at.exception
    order = [str(each.value) for each in at.text if str(each.value).startswith("✗")]
    for said, words in zip(
        order,
        ("'=' is reserved", "not overwritten", "nowhere", "two has no directory"),
        strict=True,
    ):
        assert words in said, order
    assert "Nothing was written. 4 problems, shown next to the fields." in texts(at)
    at.text_input(key="new_name").set_value("a b").run()  # what is typed anew is not wrong yet
    assert "'=' is reserved" not in texts(at) and "not overwritten" in texts(at)


def test_a_directory_is_found_by_browsing(
    bench: Workbench, family: FamilyFiles, tmp_path: Path
) -> None:
    root = tmp_path / "server"
    deep = root / "my *models*"
    (deep / "new base").mkdir(parents=True)
    (deep / "new base" / "config.json").write_text("{}")
    at = page("models").run()
    at.text_input(key="new_base").set_value(str(root / "not there")).run()
    press(at, "browse_open:new_base")
    assert not at.exception
    inside = at.selectbox(key=f"browse_in:new_base:{root}")
    assert inside.options == ["my *models*/"]
    inside.set_value(0).run()
    inside = at.selectbox(key=f"browse_in:new_base:{deep}")
    assert inside.options == ["new base/ — a model"]
    crumbs = [each.label for each in at.button if (each.key or "").startswith("browse_crumb:")]
    assert crumbs[-1] == "my \\*models\\*"
    inside.set_value(0).run()
    assert "It contains a model." in texts(at)
    press(at, "browse_take:new_base")
    assert at.text_input(key="new_base").value == str(deep / "new base")
    assert not [each for each in at.button if (each.key or "").startswith("browse_take")]
    press(at, "browse_open:study_path")  # begins where the last one ended, and offers files
    [inside] = [each for each in at.selectbox if (each.key or "").startswith("browse_in:study")]
    assert inside.disabled
    press(at, f"browse_crumb:study_path:{len(deep.parts) - 2}")
    assert not at.exception
    press(at, "browse_close:study_path")
    assert not [each for each in at.selectbox if (each.key or "").startswith("browse_in")]


def test_a_new_study_may_start_with_an_objective_of_its_own(
    bench: Workbench, family: FamilyFiles, tmp_path: Path
) -> None:
    at = page("models").run()
    fill(at, family, tmp_path / "new.yaml", one=str(family.experts["helpful"]))
    at.radio(key="new_first").set_value("an objective of your own").run()
    at.text_input(key="new_objective:name").set_value("mine")
    at.text_input(key="new_objective:data").set_value(str(family.root / "data/exact.jsonl"))
    press(at, "write_study")
    assert not at.exception
    [objective] = load_study(tmp_path / "new.yaml").objectives
    assert objective.name == "mine" and objective.scorer == "exact_match"


def describe(at: AppTest, family: FamilyFiles, name: str = "more") -> None:
    at.text_input(key="objective:0:name").set_value(name)
    at.selectbox(key="objective:0:scorer").set_value("contains").run()
    at.text_input(key="objective:0:data").set_value(str(family.root / "data/contains.jsonl"))
    at.checkbox(key="objective:0:contains:ignore_case").set_value(True)
    at.number_input(key="objective:0:max_new_tokens").set_value(8)


def test_a_preview_shows_examples_and_saves_nothing(
    own: Path, bench: Workbench, family: FamilyFiles
) -> None:
    before = own.read_text()
    at = page("models").run()
    describe(at, family)
    at.selectbox(key="preview_on").set_value("helpful")
    press(at, "preview")
    ended(bench, ":preview")
    at.run()
    assert not at.exception
    shown = texts(at)
    assert "Example 1, line 1: value 1" in shown and "helpful <b>says</b>" in shown
    assert "held back for the report" in shown and "0.600 ± 0.245 [0.231, 0.882]" in shown
    assert own.read_text() == before
    at.text_input(key="objective:0:name").set_value("other").run()
    assert "The fields have changed since this preview." in texts(at)


def test_an_objective_is_added_and_measured_where_it_lacks(
    own: Path, bench: Workbench, family: FamilyFiles
) -> None:
    wanted = resolve(Recipe("task_arithmetic", {"helpful": 0.5, "terse": 0.25}), bench.names)
    bench.evaluate([wanted], "Scoring", "here").handle.result(20)
    at = page("models").run()
    describe(at, family)
    press(at, "add_objective")
    assert not at.exception
    assert "Added more to the study file." in texts(at)
    assert own.read_text().startswith("# ours\n")
    added = load_study(own).objectives[-1]
    assert (added.name, added.scorer, dict(added.options), added.max_new_tokens) == (
        "more", "contains", {"ignore_case": True}, 8,
    )  # fmt: skip
    again = opened.connect()
    assert again is not bench

    def models_scored() -> bool:
        again.advance()
        return len(again.measured()) == 5 and sum(
            again.measured().complete(row) for row in range(5)
        ) == 4  # fmt: skip

    until(models_scored)
    at.run()
    assert "1 point lacks a score: on more." in texts(at)
    assert "Added more to the study file." in texts(at)  # still, however often the page is drawn
    measures = [each.label for each in at.button if (each.key or "").startswith("measure_")]
    assert measures == ["Measure the task vectors", "Measure it"]  # not "all 1"
    press(at, "measure_all")
    ended(again, ":measure")
    at.run()
    assert not at.exception
    assert again.measured().complete(again.measured().row_of[again.point_id(wanted)])
    assert "measure_all" not in [each.key for each in at.button]


def test_an_objective_is_changed_and_removed_and_its_scores_are_kept(
    own: Path, bench: Workbench, family: FamilyFiles
) -> None:
    data = yaml.safe_load(own.read_text())
    data["objectives"][1] |= {"stop": ["\\n\\n", "Q:"], "temperature": 0.5, "seed": 3, "limit": 9}
    data["objectives"][1]["name"] = "good manners"
    own.write_text("# ours\n" + yaml.safe_dump(data, sort_keys=False))
    at = page("models").run()
    at.selectbox(key="objective_chosen").set_value("good manners").run()
    press(at, "edit_objective")
    assert not at.exception
    assert "Edit good manners" in [each.value for each in at.subheader]
    assert at.text_input(key="objective:1:name").value == "good manners"
    assert at.selectbox(key="objective:1:scorer").value == "contains"
    assert at.text_area(key="objective:1:stop").value == "\\n\\n\nQ:"
    assert at.number_input(key="objective:1:limit").value == 9
    assert "Kept as in the study file: seed." in texts(at)
    at.text_input(key="objective:1:name").set_value("facts")
    press(at, "add_objective")
    assert "an objective of this name" in texts(at)
    at.text_input(key="objective:1:name").set_value("best manners")
    at.number_input(key="objective:1:limit").set_value(8)
    press(at, "add_objective")
    assert not at.exception
    assert "Changed good manners, now best manners, in the study file." in texts(at)
    found = load_study(own).objectives
    assert [each.name for each in found] == ["facts", "best manners", "loss"]
    assert (found[1].limit, found[1].stop, found[1].temperature) == (8, ("\n\n", "Q:"), 0.5)
    assert own.read_text().startswith("# ours\n")

    at.selectbox(key="objective_chosen").set_value("facts").run()
    press(at, "remove_objective_now")
    assert not at.exception
    assert "Removed facts from the study file. The scores of " in texts(at)
    assert [each.name for each in load_study(own).objectives] == ["best manners", "loss"]
    kept = bench.store.records("score", toy.FAMILY)
    assert "facts" in {each["objective"] for each in kept}
    press(at, "remove_objective_now")
    assert "A study needs at least one objective" in texts(at)
    assert not at.exception and len(load_study(own).objectives) == 1


def test_an_objective_that_cannot_be_added_leaves_the_file(
    own: Path, bench: Workbench, family: FamilyFiles
) -> None:
    before = own.read_text()
    at = page("models").run()
    describe(at, family, "facts")
    press(at, "add_objective")
    assert not at.exception
    assert "an objective of this name" in texts(at)
    assert own.read_text() == before
    assert at.text_input(key="objective:0:name").value == "facts"


def test_errors_of_an_objective_come_together_each_beside_its_field(
    own: Path, bench: Workbench
) -> None:
    at = page("models").run()
    at.text_input(key="objective:0:name").set_value("facts=1")
    at.selectbox(key="objective:0:scorer").set_value("regex").run()
    at.text_input(key="objective:0:data").set_value("/nowhere.jsonl")
    press(at, "add_objective")
    assert not at.exception
    said = [str(each.value) for each in at.text if str(each.value).startswith("✗")]
    expected = ("'=' is reserved", "no such file", "needs the option")
    for line, words in zip(said, expected, strict=True):
        assert words in line, said
    assert "unchanged: 3 problems, shown next to the fields." in texts(at)
    at.text_input(key="objective:0:name").set_value("facts 1").run()  # typed anew: not wrong yet
    assert "'=' is reserved" not in texts(at) and "no such file" in texts(at)


def test_problems_of_a_form_are_sentences(bench: Workbench) -> None:
    at = page("models").run()
    press(at, "check_study")
    said = texts(at)
    assert "✗ It is empty. Enter a short name." in said
    assert "✗ No expert is listed. Give at least one, a name and its directory." in said


def test_errors_of_a_new_study_s_own_objective_stand_beside_its_fields(
    bench: Workbench, family: FamilyFiles, tmp_path: Path
) -> None:
    at = page("models").run()
    fill(at, family, tmp_path / "new.yaml", one="/nowhere")
    at.radio(key="new_first").set_value("an objective of your own").run()
    at.text_input(key="new_objective:data").set_value("gone.jsonl")
    press(at, "check_study")
    said = [str(each.value) for each in at.text if str(each.value).startswith("✗")]
    for line, words in zip(said, ("/nowhere", "it is empty", "gone.jsonl"), strict=True):
        assert words in line, said
    assert "Nothing was written. 3 problems" in texts(at)


def test_fields_follow_the_scorer(bench: Workbench) -> None:
    at = page("models").run()
    scorer = at.selectbox(key="objective:0:scorer")
    assert "Higher is better" in texts(at)
    scorer.set_value("cost").run()
    keys = [each.key for each in (*at.text_input, *at.number_input) if each.key]
    assert "objective:0:data" in keys and "objective:0:limit" not in keys
    at.text_input(key="objective:0:data").set_value("over.jsonl").run()  # counted over answers
    keys = [each.key for each in (*at.text_input, *at.number_input) if each.key]
    assert "objective:0:limit" in keys and "objective:0:max_new_tokens" in keys
    at.selectbox(key="objective:0:scorer").set_value("nll").run()
    keys = [each.key for each in (*at.text_input, *at.number_input) if each.key]
    assert "objective:0:limit" in keys and "objective:0:max_new_tokens" not in keys
    at.selectbox(key="objective:0:scorer").set_value("regex").run()
    assert at.text_input(key="objective:0:regex:pattern").value == ""
    assert not at.exception


def test_data_are_shown_as_they_will_be_read_and_columns_chosen(
    own: Path, bench: Workbench, tmp_path: Path
) -> None:
    rows = [{"question": "a?", "query": f"b{n}?", "answer": "c", "kind": n % 2} for n in range(8)]
    path = write(tmp_path, ".csv", rows, zipped=True)
    at = page("models").run()
    at.text_input(key="objective:0:name").set_value("asked")
    at.selectbox(key="objective:0:scorer").set_value("contains").run()
    at.text_input(key="objective:0:data").set_value(str(path)).run()
    assert not at.exception
    shown = texts(at)
    assert "CSV, gzipped, columns question, query, answer, kind." in shown
    assert "which columns those are is ambiguous" in shown
    key = "objective:0:contains:columns"
    at.multiselect(key=f"{key}:prompt").set_value(["query"])
    at.multiselect(key=f"{key}:targets").set_value(["answer"])
    at.selectbox(key=f"{key}:rows").set_value("kind").run()
    at.multiselect(key=f"{key}:rows:kind").set_value(["1"]).run()
    assert not at.exception
    assert "CSV, gzipped, 4 rows: prompt = query, target = answer." in texts(at)
    [first] = [each.value for each in at.dataframe if "prompt" in each.value]
    assert list(first["line"]) == [3, 5, 7] and list(first["prompt"]) == ["b1?", "b3?", "b5?"]
    press(at, "add_objective")
    assert not at.exception
    reading = load_study(own).objectives[-1].reading
    assert dict(reading.columns) == {"prompt": "query", "target": "answer"}
    assert dict(reading.rows) == {"kind": ("1",)}


@pytest.mark.parametrize("asked", ["~no-such-user/x", "x" * 5000, "a\0b", "/dev/zero"])
def test_an_address_that_names_no_study_is_one_message(home: Path, asked: str) -> None:
    at = page("models")
    at.query_params["study"] = asked
    at.run()
    assert not at.exception
    assert "This study cannot be opened." in texts(at)


def test_results_of_others_are_imported_listed_and_removed(
    bench: Workbench, tmp_path: Path
) -> None:
    (tmp_path / "others.csv").write_text("model,facts,facts n,nats\nrival,0.8,20,1.5\n")
    at = page("models").run()
    field = widget(at.text_input, "Results file")
    field.input(str(tmp_path / "others.csv")).run()
    chosen = {each.label: each for each in at.selectbox}
    assert chosen["facts (maximize)"].value == "facts"  # by its name
    chosen["loss (minimize)"].select("nats").run()
    press(at, "external_import")
    [found] = externals_of(bench).all()
    assert {name: each.mean for name, each in found.scores.items()} == {"facts": 0.8, "loss": 1.5}
    assert listed(at, "scores")["model"] == ["rival"]
    explore = page("explore").run()
    assert "1 external point below them." in texts(explore)
    widget(at.text_input, "Results file").input(str(tmp_path / "none.csv")).run()
    assert "no such file" in texts(at)
    press(at, "external_remove")
    assert externals_of(bench).all() == () and not at.exception
