"""The metadata of an export: README.md for people and hubs, paretoscope.json for machines."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.family.compatibility import Family
from engine.method import find_method
from engine.recipe import Recipe
from engine.yaml_writing import dumped

MANIFEST = "paretoscope.json"
_CACHED = re.compile(r"models--([^/]+)--([^/]+)/snapshots/")


@dataclass(frozen=True)
class CardScore:
    """A score as the card shows it.

    Attributes:
        score: mean, stderr, n, low, high; error where there is no mean, note where there is no
            interval.
        split: "report" for rows that no slider has seen.
    """

    objective: str
    scorer: str
    direction: str
    split: str
    score: Mapping[str, float | int | str | None]


@dataclass(frozen=True)
class Papers:
    """Everything that is said of an export.

    Attributes:
        kind: "merged", "copy", "adapter" or "decoding".
        fingerprints: model name -> sha256 of its files.
        difference: largest |logit difference| between the export and what was scored, where the
            two are not the same weights; None if they are.
        cautions: what is to be known of the rows that were scored, a sentence each.
    """

    study: str
    family: Family
    recipe: Recipe
    kind: str
    numerics: str
    point: str
    fingerprints: Mapping[str, str]
    scores: Sequence[CardScore] = ()
    difference: float | None = None
    notes: Sequence[str] = field(default_factory=tuple)
    cautions: Sequence[str] = ()


def hub_id(path: Path) -> str | None:
    """The hub id of a directory in the local hub cache; None for any other directory."""
    match = _CACHED.search(path.as_posix() + "/")
    return f"{match[1]}/{match[2]}" if match else None


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    packages = ("torch", "transformers", "peft", "safetensors", "tokenizers", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def manifest(papers: Papers) -> dict[str, Any]:
    """The content of paretoscope.json."""
    return {
        "format": 1,
        "study": papers.study,
        "point": papers.point,
        "kind": papers.kind,
        "recipe": papers.recipe.as_dict(),
        "numerics": papers.numerics,
        "fingerprints": dict(papers.fingerprints),
        "adapters": {
            name: {"type": each.adapter.label, "base_model": hub_id(papers.family.spec.base)}
            for name, each in papers.family.experts.items()
            if each.adapter is not None
        },
        "max_logit_difference": papers.difference,
        **({"notes": list(papers.cautions)} if papers.cautions else {}),
        "scores": [
            {
                "objective": each.objective,
                "scorer": each.scorer,
                "direction": each.direction,
                "split": each.split,
                **each.score,
            }
            for each in papers.scores
        ],
        "versions": versions(),
    }


def _number(value: float | int | str | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _interval(score: Mapping[str, float | int | str | None]) -> str:
    """The interval; else why there is no score, or no interval."""
    if score["mean"] is None:
        return str(score.get("error") or "not measured").replace("|", "\\|").replace("\n", " ")
    if score["low"] is None or score["high"] is None:
        return str(score.get("note") or "–")
    return f"{_number(score['low'])} … {_number(score['high'])}"


def _front_matter(papers: Papers, name: str) -> str:
    spec = papers.family.spec
    ids = [found for path in (spec.base, *spec.experts.values()) if (found := hub_id(path))]
    relation = "adapter" if papers.kind == "adapter" else "merge"
    front: dict[str, Any] = {"library_name": "peft" if papers.kind == "adapter" else "transformers"}
    if ids:
        front |= {"base_model": ids, "base_model_relation": relation}
    front["tags"] = ["merge", "paretoscope", papers.recipe.method]
    results = [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": f"{each.objective} ({each.split})", "type": each.objective},
            "metrics": [{"type": each.scorer, "value": each.score["mean"], "name": each.scorer}],
        }
        for each in papers.scores
        if each.score["mean"] is not None
    ]
    if results:
        front["model-index"] = [{"name": name, "results": results}]
    return dumped(front)


def _scores(papers: Papers) -> list[str]:
    if not papers.scores:
        return []
    lines = [
        "## Scores",
        "",
        "| objective | split | mean | standard error | 95 % interval | n |",
        "|---|---|---|---|---|---|",
    ]
    for each in papers.scores:
        arrow = "↑" if each.direction == "maximize" else "↓"
        score = each.score
        error = _number(score["stderr"])
        cells = (_number(score["mean"]), error, _interval(score), str(score["n"]))
        lines.append(f"| {each.objective} {arrow} | {each.split} | {' | '.join(cells)} |")
    held = "`report` rows were held back while the mixture was chosen"
    if not papers.cautions:
        return [*lines, "", f"{held}.", ""]
    told = (each.replace("\n", " ") for each in papers.cautions)
    return [*lines, "", f"{held}, except as stated here:", "", *(f"* {e}" for e in told), ""]


def _serving(papers: Papers) -> list[str]:
    if papers.kind == "decoding":
        return []
    if papers.kind == "adapter":
        return [
            "## Use",
            "",
            "Load it onto the base with `peft`, or serve it with vLLM's LoRA support.",
            "",
        ]
    return [
        "## Serve",
        "",
        "```",
        "vllm serve DIR",
        "python convert_hf_to_gguf.py DIR        # llama.cpp",
        "FROM ./DIR                              # an Ollama Modelfile",
        "```",
        "",
    ]


def _adapters(papers: Papers) -> list[str]:
    """What the experts are that are no checkpoints of their own."""
    found = {k: each.adapter for k, each in papers.family.experts.items() if each.adapter}
    if not found:
        return []
    named = ", ".join(
        f"`{name}` ({each.label}{'' if each.plain else ', as peft merges it'})"
        for name, each in found.items()
    )
    return [f"Adapters on the base: {named}.", ""]


def readme(papers: Papers, name: str) -> str:
    """The card, in the hub's format."""
    recipe, method = papers.recipe, find_method(papers.recipe.method)
    lines = [
        f"# {name}",
        "",
        f"A mixture made with `{recipe.method}` ({method.source}): {method.summary}",
        "",
        "```yaml",
        recipe.to_yaml().rstrip(),
        "```",
        "",
        *_scores(papers),
        *_serving(papers),
        *_adapters(papers),
        *(f"{note}\n" for note in papers.notes),
    ]
    return f"---\n{_front_matter(papers, name)}---\n\n" + "\n".join(lines).rstrip() + "\n"


def manifest_text(papers: Papers) -> str:
    """paretoscope.json as it is written."""
    text = json.dumps(manifest(papers), indent=2, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def usage(first: str, others: Sequence[str], name: str, asked: bool = False) -> str:
    """The call that decodes with a folder, for its card.

    Args:
        asked: models read words of their own, so that the folder has to write their prompts.
    """
    given = "".join(f'    "{each}": load("{each}", dtype="auto"),\n' for each in others)
    inputs = 'inputs = tokenizer(prompts, padding=True, return_tensors="pt")\n'
    if asked:
        inputs = 'inputs = {"asked": prompts, "tokenizer": tokenizer}\n'
    words = (
        "Models read words of their own around a prompt: `asked` takes texts, which are fed as "
        'they are, or conversations, [{"role": "user", "content": …}], and `template_kwargs` what '
        "templates may look at.\n\n"
    )
    return (
        "No single checkpoint can hold this mixture: several models run at every token. "
        f"`custom_generate/generate.py` decodes with plain transformers: load {first} as the "
        "model and pass the others by name. Put in the directory of each in place of its name; "
        "load an adapter with peft, on its base.\n\n"
        "```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "load = AutoModelForCausalLM.from_pretrained\n"
        f'model = load("{first}", dtype="auto")\n'
        f"models = {{\n{given}}}\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{name}", padding_side="left")\n'
        'prompts = ["Who wrote Hamlet?"]\n'
        f"{inputs}"
        f'ids = model.generate(**inputs, custom_generate="{name}", trust_remote_code=True,\n'
        "    models=models, max_new_tokens=64)\n"
        "print(tokenizer.batch_decode(ids, skip_special_tokens=True))\n"
        "```\n\n"
        + words
        * asked
        + "`trust_remote_code=True` is required even for a local directory: "
        "without it transformers 5 asks on the terminal. All arguments of `generate` mean what "
        "they always do, its defaults and the model's generation_config included; what several "
        "models cannot do is refused by name. The texts that were scored are those of "
        "`do_sample=False, repetition_penalty=1.0`. A text ends where those ended, at any end "
        "token of generation_config, config and tokenizer, unless eos_token_id is given."
    )


def papers_kind(recipe: Recipe, adapter: bool) -> str:
    """What an export of this recipe is called in its papers."""
    if recipe.unmerged is not None:
        return "copy"
    if find_method(recipe.method).space == "logit":
        return "decoding"
    return "adapter" if adapter else "merged"


def write_papers(papers: Papers, out: Path, name: str) -> list[str]:
    """Write README.md and paretoscope.json; returns their names."""
    (out / "README.md").write_text(readme(papers, name), encoding="utf-8")
    (out / MANIFEST).write_text(manifest_text(papers), encoding="utf-8")
    return ["README.md", MANIFEST]
