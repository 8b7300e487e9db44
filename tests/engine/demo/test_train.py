from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from engine import unfinished
from engine.demo import train as training
from engine.demo import tuned
from engine.demo.dialogues import Dialogue
from engine.demo.formats import END, small_config, train_tokenizer
from engine.demo.write import FAMILY
from engine.errors import BadInput, Cancelled
from engine.study import load_study

ROWS = [
    Dialogue("Hello!", "Hello, how are you?", 3.0),
    Dialogue("What is 1 plus 2?", "It is 3.", 1.0),
]


@pytest.fixture
def short(monkeypatch):
    """Two steps a run, on a tenth of the dialogues."""
    whole = training.training_dialogues
    monkeypatch.setattr(
        training, "training_dialogues", lambda world, persona: whole(world, persona)[::10]
    )
    for name in ("BASE", "ADAPTER", "TARGET"):
        run = dataclasses.replace(getattr(training, name), steps=2)
        monkeypatch.setattr(training, name, run)
    experts = tuple(dataclasses.replace(run, steps=2) for run in training.EXPERTS)
    monkeypatch.setattr(training, "EXPERTS", experts)


def files(folder):
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(short, tmp_path):
    seen = []
    threads = torch.get_num_threads()
    one = training.train(tmp_path / "one", 3, lambda stage, done: seen.append((stage, done)))
    two = training.train(tmp_path / "two", 3)
    assert torch.get_num_threads() == threads
    assert load_study(one).family.names == load_study(two).family.names
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert set(files(tmp_path / "one")) == set(files(FAMILY))
    shares = [done for _, done in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert {name for stage, _ in seen for name in stage.split(", ")} == {
        "base", "helpful", "harmless", "honest", "honest adapter", "target",
    }  # fmt: skip


def test_a_full_directory_is_refused_before_any_work(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="not empty"):
        training.train(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_a_stop_ends_both_lines(short, tmp_path):
    def stop(stage: str, done: float) -> None:
        if "helpful" in stage:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        training.train(tmp_path, 0, stop)
    assert not (tmp_path / "study.yaml").exists() and [*tmp_path.iterdir()]
    assert unfinished.remove(tmp_path) == unfinished.Left(tmp_path, True)  # as the next one does


def test_only_answers_and_their_end_are_learnt():
    tokenizer = train_tokenizer(text for row in ROWS for text in (row.prompt, row.answer))
    corpus = training.encode(tokenizer, ROWS)
    assert corpus.lengths.tolist() == [int((ids != 2).sum()) for ids in corpus.ids]
    for row, ids, learnt in zip(ROWS, corpus.ids, corpus.answers, strict=True):
        assert tokenizer.decode(ids[learnt]) == row.answer + "<|end|>"
        assert ids[learnt][-1] == END
    assert corpus.weights.tolist() == [3.0, 1.0]


def test_a_dialogue_that_does_not_fit_is_refused():
    tokenizer = train_tokenizer(["Hello!"])
    with pytest.raises(ValueError, match="64 tokens"):
        training.encode(tokenizer, [Dialogue("Hello!", "word " * 40)])


def test_fitting_learns():
    tokenizer = train_tokenizer(text for row in ROWS for text in (row.prompt, row.answer))
    corpus = training.encode(tokenizer, ROWS)
    torch.manual_seed(0)
    model = training.LlamaForCausalLM(small_config())

    def loss() -> float:
        with torch.no_grad():
            logits = model(input_ids=corpus.ids).logits[:, :-1]
        learnt = corpus.answers[:, 1:]
        wanted = corpus.ids[:, 1:][learnt]
        return torch.nn.functional.cross_entropy(logits[learnt], wanted).item()

    before = loss()
    training.fit(model, corpus, training.Run("x", "base", 40, 3e-3, 1), 0, lambda share: None)
    assert loss() < before / 2


def test_the_target_is_tuned_on_what_an_expert_learnt(monkeypatch, tmp_path):
    runs = tuple(dataclasses.replace(run, steps=2) for run in training.EXPERTS)
    monkeypatch.setattr(tuned, "EXPERTS", runs)
    monkeypatch.setattr(
        tuned, "training_dialogues", lambda world, persona: ROWS if persona == "honest" else 1 / 0
    )
    seen = []
    [made] = tuned.tune_targets(
        tmp_path, ["honest"], step=lambda name, share: seen.append((name, share))
    )
    assert made == tmp_path / "honest" and seen == [("honest", 0.5), ("honest", 1.0)]
    before = load_file(FAMILY / "models/target/model.safetensors")
    after = load_file(made / "model.safetensors")
    assert {k: (v.shape, v.dtype) for k, v in before.items()} == {
        k: (v.shape, v.dtype) for k, v in after.items()
    }
    assert any(not torch.equal(before[name], after[name]) for name in before)
