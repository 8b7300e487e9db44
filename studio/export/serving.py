"""How to run an export: lines to copy, depending on its kind.

merged, copy   an ordinary checkpoint: vLLM and transformers take the directory
adapter        a LoRA adapter: its base, and the adapter on it
decoding       no weights: plain transformers runs several models a token with the folder's own
               code. vLLM has no such place
no export      `engine serve` answers with any point of the study
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's --max-lora-rank may be (vllm/config/lora.py, 0.11 to 0.27)."""

_AUTO = "from transformers import AutoModelForCausalLM, AutoTokenizer"
_PEFT = "from peft import PeftModel"


@dataclass(frozen=True)
class Line:
    """Something to copy.

    Attributes:
        what: in words, above it.
        language: "bash" or "python".
    """

    what: str
    code: str
    language: str = "bash"


def without_export(study: Path, point: str, workspace: Path) -> Line:
    """The line that serves a point as it is, run where the app is installed.

    It names the workspace: a shell's own may be another than the app's.
    """
    words = [".venv/bin/python", "-m", "engine", "serve", str(study), "--point", point]
    words += ["--workspace", str(workspace)]
    return Line("Serve it without an export:", shlex.join(words))


def serving(record: Mapping[str, Any]) -> list[Line]:
    """The lines for an export as the journal has it.

    Args:
        record: `form`, `out`, `point`, `rank`, `asked`, `beside`: the models it needs (name, path,
            and the base of one that is an adapter).
    """
    out, beside = str(record["out"]), record.get("beside") or ()
    if record.get("form") == "decoding":
        code = _decoding(out, beside, bool(record.get("asked")))
        return [Line("Decode it with plain transformers:", code, "python")]
    if beside:
        return _adapter(out, str(beside[0]["path"]), record)
    return [
        Line("Serve it:", f"vllm serve {shlex.quote(out)}"),
        Line("Or load it:", f"{_AUTO}\n\n{_load('model', out)}\n{_tokenizer(out)}", "python"),
    ]


def limits(record: Mapping[str, Any]) -> str:
    """What to know before it is served; empty if there is nothing."""
    if record.get("form") == "decoding":
        names = ", ".join(each["name"] for each in record.get("beside") or ())
        return (
            f"It contains the recipe and code but no weights: {names} must stay where they are. "
            "All of them run at every token, and vLLM cannot serve it; `engine serve` serves the "
            "point itself. Read "
            "custom_generate/generate.py "
            "before you trust it."
        )
    if record.get("beside"):
        return "It contains only the adapter: its base must stay where it is."
    return ""


def _load(name: str, path: str) -> str:
    return f'{name} = AutoModelForCausalLM.from_pretrained({path!r}, dtype="auto")'


def _tokenizer(path: str) -> str:
    return f"tokenizer = AutoTokenizer.from_pretrained({path!r})"


def _adapter(out: str, base: str, record: Mapping[str, Any]) -> list[Line]:
    name = f"mixture-{record.get('point', '')}".rstrip("-")
    rank = int(record.get("rank") or 0)
    allowed = next((each for each in RANKS if each >= rank), None)
    python = f"{_AUTO}\n{_PEFT}\n\n{_load('base', base)}\n"
    python += f"model = PeftModel.from_pretrained(base, {out!r})\n{_tokenizer(base)}"
    lines = [Line("Or load it with peft:", python, "python")]
    if allowed is None:
        return [Line(f"Load it with peft (vLLM takes ranks up to {RANKS[-1]}, this is {rank}):",
                     python, "python")]  # fmt: skip
    serve = (
        f"vllm serve {shlex.quote(base)} --enable-lora --max-lora-rank {allowed} "
        f"--lora-modules {shlex.quote(f'{name}={out}')}"
    )
    return [Line(f"Serve it on its base, as the model {name}:", serve), *lines]


def _decoding(out: str, beside: Sequence[Mapping[str, Any]], asked: bool) -> str:
    lines = [_AUTO]
    if any(each.get("base") for each in beside):
        lines.append(_PEFT)
    lines += ["", "load = AutoModelForCausalLM.from_pretrained", "models = {"]
    for each in beside:
        path, below = str(each["path"]), each.get("base")
        model = f'load({path!r}, dtype="auto")'
        if below:
            model = (
                f'PeftModel.from_pretrained(\n        load({below!r}, dtype="auto"),'
                f"\n        {path!r},\n    )"
            )
        lines.append(f"    {each['name']!r}: {model},")
    first = beside[0]["name"] if beside else "base"
    lines += [
        "}",
        f"model = models.pop({first!r})",
        _tokenizer(out),
        'inputs = {"asked": ["Who wrote Hamlet?"], "tokenizer": tokenizer}'
        if asked
        else 'inputs = tokenizer("Who wrote Hamlet?", return_tensors="pt")',
        "ids = model.generate(",
        "    **inputs,",
        f"    custom_generate={out!r},",
        "    trust_remote_code=True,",
        "    models=models,",
        "    max_new_tokens=64,",
        ")",
        "print(tokenizer.decode(ids[0]))",
    ]
    return "\n".join(lines)
