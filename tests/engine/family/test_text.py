from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoTokenizer

from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.light_text import LightText
from engine.family.text import Text
from engine.study import FamilySpec
from engine.study_file import variables_of
from tests.families import ADDED, VOCABULARY, FamilyFiles


def open_text(files: FamilyFiles, tokenizer: str = "base") -> Text:
    places = {name: files.experts[name] for name in ("helpful", "coder", "terse")}
    return Text(open_family(FamilySpec(files.base, places, None, tokenizer)))


def test_prompts_as_they_are(pristine: FamilyFiles) -> None:
    text = open_text(pristine)
    theirs = AutoTokenizer.from_pretrained(pristine.base, local_files_only=True)
    prompt = "the quick  brown fox , \n sees"
    assert text.encode(prompt) == theirs(prompt)["input_ids"]
    assert text.continuation(prompt) == theirs(prompt, add_special_tokens=False)["input_ids"]
    assert text.decode(text.continuation(prompt)) == prompt
    assert text.size == VOCABULARY


def test_chat_has_one_opening_token(pristine: FamilyFiles) -> None:
    text = open_text(pristine)
    theirs = AutoTokenizer.from_pretrained(pristine.base, local_files_only=True)
    messages = [{"role": "user", "content": "the sea"}]
    ids = text.encode("the sea", chat=True)
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert ids == expected == text.encode_messages(messages)
    assert ids.count(theirs.bos_token_id) == 1
    assert theirs.decode(ids).endswith("<|turn|>assistant:")


def test_decode_leaves_out_special_tokens(pristine: FamilyFiles) -> None:
    text = open_text(pristine)
    ids = text.continuation("the sea")
    assert text.decode([*ids, text.end_token]) == "the sea"


def test_a_marker_stays_though_it_is_a_special_token(pristine: FamilyFiles) -> None:
    text = open_text(pristine)
    ids = [*text.continuation("the sea"), text.end_token, *text.continuation(" is deep")]
    assert text.decode(ids) == "the sea is deep"
    assert text.decode(ids, "<|end|>") == "the sea<|end|> is deep"
    assert text.decode(ids, "sea") == "the sea is deep"


def test_variables_of_the_template(files: FamilyFiles) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{{ mood }}{{ facts.a[0] }}"
    (files.base / "chat_template.jinja").write_text(template)
    text = open_text(files)
    variables = variables_of({"mood": " sad", "facts": {"a": [1, 2]}}, "here")
    assert text.render([{"role": "user", "content": "x"}], variables) == "x sad1"
    assert text.encode("x", True, variables) == text.continuation("x sad1")


@pytest.mark.parametrize(
    "given", [[1], {1: 2}, {"messages": []}, {"add_generation_prompt": False}, {"x": float("nan")},
              {"x": {1, 2}}, {"tokenize": True}],
)  # fmt: skip
def test_what_is_no_variable_of_a_template(given: object) -> None:
    with pytest.raises(BadInput):
        variables_of(given, "here")


def test_what_a_tokenizer_puts_behind_a_text_is_left_out(files: FamilyFiles) -> None:
    file = files.base / "tokenizer.json"
    data = json.loads(file.read_text())
    data["post_processor"]["single"].append({"SpecialToken": {"id": "<|end|>", "type_id": 0}})
    data["post_processor"]["special_tokens"]["<|end|>"] = {
        "id": "<|end|>", "ids": [2], "tokens": ["<|end|>"]
    }  # fmt: skip
    plain = open_text(files).encode("the sea")
    file.write_text(json.dumps(data))
    theirs = AutoTokenizer.from_pretrained(files.base, local_files_only=True)
    assert theirs("the sea")["input_ids"] == [*plain, 2]
    assert open_text(files).encode("the sea") == plain
    assert open_text(files).opening == (0,)


def test_a_prompt_that_opens_itself_is_not_opened_twice(pristine: FamilyFiles) -> None:
    text = open_text(pristine)
    assert text.encode("<s>the sea") == text.encode("the sea")


def test_end_tokens(files: FamilyFiles) -> None:
    file = files.base / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": [5, 6]}))
    text = open_text(files)
    theirs = AutoTokenizer.from_pretrained(files.base, local_files_only=True)
    assert {5, 6, theirs.eos_token_id} <= text.end_ids
    assert text.end_token == theirs.eos_token_id


def test_end_token_without_one_in_the_tokenizer(files: FamilyFiles) -> None:
    file = files.base / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings.pop("eos_token")
    file.write_text(json.dumps(settings))
    (files.base / "special_tokens_map.json").unlink(missing_ok=True)
    config = files.base / "generation_config.json"
    config.write_text(json.dumps({"eos_token_id": [9, 5]}))
    text = open_text(files)
    assert text.end_token == min(text.end_ids)
    config.write_text("{}")
    model = files.base / "config.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"eos_token_id": None}))
    with pytest.raises(BadInput, match="no end token"):
        _ = open_text(files).end_token


def test_the_choice_decides(pristine: FamilyFiles) -> None:
    text = open_text(pristine, "coder")
    assert text.size == VOCABULARY + len(ADDED)
    assert len(text.continuation(ADDED[0])) == 1 < len(open_text(pristine).continuation(ADDED[0]))


def test_adapter_with_tokenizer_files(files: FamilyFiles) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(files.base / name, files.experts["terse"])
    text = open_text(files, "terse")
    assert text.encode("the sea") == open_text(files).encode("the sea")


def test_chat_without_a_template(files: FamilyFiles) -> None:
    (files.base / "chat_template.jinja").unlink(missing_ok=True)
    file = files.base / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings.pop("chat_template", None)
    file.write_text(json.dumps(settings))
    text = open_text(files)
    assert not text.has_chat_template and text.encode("the sea")
    with pytest.raises(BadInput, match="no chat template"):
        text.encode("the sea", chat=True)


def test_template_that_refuses(files: FamilyFiles) -> None:
    (files.base / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(BadInput, match="roles must alternate"):
        open_text(files).encode("the sea", chat=True)


def test_merge_only_family_has_no_text(files: FamilyFiles) -> None:
    (files.base / "tokenizer.json").unlink()
    family = open_family(FamilySpec(files.base, {"helpful": files.experts["helpful"]}), text=False)
    with pytest.raises(BadInput, match="the tokenizer is missing"):
        Text(family)


def test_a_tokenizer_that_cannot_be_opened(files: FamilyFiles) -> None:
    place = files.base / "tokenizer.json"
    document = json.loads(place.read_text())
    document["model"]["merges"] = [7]
    place.write_text(json.dumps(document))
    with pytest.raises(BadInput, match="transformers cannot load it"):
        open_text(files)


def test_a_library_that_panics_is_refused(
    pristine: FamilyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written in Rust may give up in a way that is no `Exception`."""

    class PanicException(BaseException):
        pass

    def gives_up(*_: object, **__: object) -> None:
        raise PanicException("no entry found for key")

    places = {"helpful": pristine.experts["helpful"]}
    family = open_family(FamilySpec(pristine.base, places))
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", gives_up)
    with pytest.raises(BadInput, match="no entry found"):
        Text(family)
    monkeypatch.setattr("tokenizers.Tokenizer.from_file", gives_up)
    light = LightText(family)
    assert light.counts(["a"]) is None
    assert "cannot open it (no entry found for key)" in light.problems[0].what
