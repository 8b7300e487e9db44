"""Every type of adapter of peft through the product, each held against peft's own merge.

base, full ── plain Llamas in float32          mine ── an adapter that peft saved
right:  peft loads and runs it (single), peft merges it into a checkpoint (all the rest)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import save_file

from tests import adapters, families, headless
from tests.differential import plain, probes
from tests.differential.paths import EQUAL, Fault, Outcome, near, reason, tokenizer_of

PATHS = ("check", "single", "linear", "task_arithmetic", "pcb", "merged export", "adapter export")
COEFFICIENTS: Mapping[str, Mapping[str, float]] = {
    "linear": {"base": 0.3, "mine": 0.5, "full": 0.2},
    "task_arithmetic": {"mine": 0.7, "full": 0.3},
    "pcb": {"mine": 0.9, "full": 0.6},
}
ALONE = {"mine": 0.7}


@cache
def bases(place: Path) -> Path:
    """Base and full fine-tune, in float32, for every adapter."""
    for name, seed in (("base", 1), ("full", 5)):
        adapters.build_base(place / name, seed=seed)
        module = adapters.load(place / name)
        with adapters.quiet():
            module.save_pretrained(place / name)
    return place


class AdapterBench:
    """One adapter, its study, and what peft makes of it."""

    def __init__(self, kind: str, root: Path, shared: Path) -> None:
        self.root, self.workspace, self.base = root, root / "workspace", shared / "base"
        self.mine, self.full = root / "mine", shared / "full"
        adapters.write(self.base, self.mine, kind)
        words = families.SENTENCES[0].split()
        self.rows = [
            {"prompt": " ".join(words[: 1 + i % 7]), "target": f" {words[(3 * i) % 11]} the sea"}
            for i in range(8)
        ]
        families.write_lines(root / "rows.jsonl", self.rows)
        self.study = root / "study.yaml"
        experts = {"mine": str(self.mine), "full": str(self.full)}
        objective = {"name": "nll", "data": "rows.jsonl", "scorer": "probe_nll"}
        document = {
            "study": "adapter",
            "family": {"base": str(self.base), "experts": experts},
            "objectives": [{**objective, "report_fraction": 0.0}],
        }
        self.study.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.tokenizer = tokenizer_of(self.base)

    def run(self, *argv: object) -> Any:
        ran = headless.run(self.workspace, *argv)
        if ran.code:
            raise Fault(f"exit {ran.code}: {reason(ran)}")
        return ran.document

    def recipe(self, method: str, coefficients: Mapping[str, float], **parameters: Any) -> Path:
        place = self.root / f"{method}.recipe.yaml"
        document = {"method": method, "coefficients": dict(coefficients), "parameters": parameters}
        place.write_text(yaml.safe_dump(document), encoding="utf-8")
        return place

    def observed(self, recipe: Path) -> list[list[float]]:
        probes.seen.clear()
        found = self.run("evaluate", self.study, "--recipe", recipe)
        if found["points"][0]["error"]:
            raise Fault(found["points"][0]["error"])
        return [values for _, values in probes.seen]

    def wanted(self, model: Any) -> list[list[float]]:
        found = []
        for row in self.rows:
            before = list(self.tokenizer(row["prompt"])["input_ids"])
            whole = list(self.tokenizer(row["prompt"] + row["target"])["input_ids"])
            found.append(plain.log_probs(model, before, whole[len(before) :]))
        return found

    def by_hand(self, method: str, coefficients: Mapping[str, float]) -> Any:
        """The merge of base, full and the checkpoint that peft's own merge makes."""
        saved = self.root / "saved"
        if not saved.exists():
            with adapters.quiet():
                adapters.merged_by_peft(self.base, self.mine).save_pretrained(saved)
        places = {name: {"mine": saved, "full": self.full}[name] for name in coefficients
                  if name != "base"}  # fmt: skip
        place = self.root / f"hand-{method}-{len(places)}"
        if not place.exists():
            tensors = plain.merged(self.base, places, method, coefficients)
            plain.write(self.base, tensors, place)
            config = json.loads((place / "config.json").read_text(encoding="utf-8"))
            rows = len(tensors["model.embed_tokens.weight"])
            families.write_json(place / "config.json", config | {"vocab_size": rows})
        return plain.load(place)


def single(bench: AdapterBench) -> None:
    found = bench.observed(bench.recipe("single", {}, model="mine"))
    near(found, bench.wanted(adapters.under_peft(bench.base, bench.mine)), "log p")


def _merge(method: str) -> Callable[[AdapterBench], None]:
    def run(bench: AdapterBench) -> None:
        found = bench.observed(bench.recipe(method, COEFFICIENTS[method]))
        near(found, bench.wanted(bench.by_hand(method, COEFFICIENTS[method])), "log p")

    return run


def merged_export(bench: AdapterBench) -> None:
    recipe, out = bench.recipe("linear", COEFFICIENTS["linear"]), bench.root / "merged"
    if (
        bench.run("export", bench.study, "--recipe", recipe, out, "--verify")["verified"]
        is not True
    ):
        raise Fault("not verified")
    again, hand = plain.load(out), bench.by_hand("linear", COEFFICIENTS["linear"])
    near(bench.wanted(again), bench.wanted(hand), "log p of the reloaded export")


def adapter_export(bench: AdapterBench) -> Outcome:
    """As an adapter again; refused beforehand where the type has no exact scale."""
    recipe, out = bench.recipe("task_arithmetic", ALONE), bench.root / "adapter"
    argv = ("export", bench.study, "--recipe", recipe, out, "--adapter", "--verify")
    ran = headless.run(bench.workspace, *argv)
    if ran.code == 2 and "--adapter" in ran.err and not out.exists():
        return Outcome("refused", "as an adapter: it is exported merged")
    if ran.code:
        raise Fault(f"exit {ran.code}: {reason(ran)}")
    again = adapters.under_peft(bench.base, out)
    near(bench.wanted(again), bench.wanted(bench.by_hand("task_arithmetic", ALONE)), "log p")
    return EQUAL


RUNS: Mapping[str, Callable[[AdapterBench], Outcome | None]] = {
    "single": single,
    "linear": _merge("linear"),
    "task_arithmetic": _merge("task_arithmetic"),
    "pcb": _merge("pcb"),
    "merged export": merged_export,
    "adapter export": adapter_export,
}


def check(study: Path, workspace: Path) -> Outcome:
    ran = headless.run(workspace, "check", study)
    if ran.code == 0:
        return EQUAL
    if ran.code == 2:
        return Outcome("refused", str(json.loads(ran.out)["problems"][0]["what"]))
    return Outcome("error", f"check ended with {ran.code}: {reason(ran)}")


def outcomes(kind: str, root: Path, shared: Path) -> dict[str, Outcome]:
    """What comes of every path for one kind of adapter."""
    with probes.registered():
        bench = AdapterBench(kind, root, bases(shared))
        found = {"check": check(bench.study, bench.workspace)}
        for name, run in RUNS.items():
            if found["check"].kind != "equal":
                found[name] = found["check"]
                continue
            try:
                found[name] = run(bench) or EQUAL
            except Fault as fault:
                found[name] = Outcome("differs", str(fault))
        return found


def measure(kind: str, shared: Path, root: Path) -> dict[str, Outcome]:
    """What comes of every path for one row."""
    return (outcomes if kind in adapters.KINDS else refused)(kind, root, shared)


def rows() -> list[str]:
    """Every kind that is tried, then every type of peft's registry that none of them has."""
    return [*adapters.KINDS, *sorted(_types() - {type_of(kind) for kind in adapters.KINDS})]


def _types() -> set[str]:
    return {each.value for each in PEFT_TYPE_TO_CONFIG_MAPPING}


def type_of(kind: str) -> str:
    """peft's name of a kind's type."""
    if kind not in adapters.KINDS:
        return kind
    name = adapters.KINDS[kind][0]
    found = [k.value for k, v in PEFT_TYPE_TO_CONFIG_MAPPING.items() if v.__name__ == name]
    assert len(found) == 1, name
    return found[0]


def refused(kind: str, root: Path, shared: Path) -> dict[str, Outcome]:
    """A type that has no weights to merge: `check` has to say so, by its name."""
    place = root / "mine"
    place.mkdir()
    families.write_json(
        place / "adapter_config.json", {"peft_type": kind, "task_type": "CAUSAL_LM"}
    )
    save_file({"prompt_embeddings": torch.ones(4, 32)}, place / "adapter_model.safetensors")
    families.write_lines(root / "rows.jsonl", [{"prompt": "the", "target": " sea"}] * 2)
    document = {
        "study": "refused",
        "family": {"base": str(bases(shared) / "base"), "experts": {"mine": "mine"}},
        "objectives": [{"name": "nll", "data": "rows.jsonl", "scorer": "nll"}],
    }
    (root / "study.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    found = check(root / "study.yaml", root / "workspace")
    if found.kind == "equal":
        found = Outcome("differs", "check passes")
    return dict.fromkeys(PATHS, found)
