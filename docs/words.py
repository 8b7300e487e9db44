"""The parts of docs/methods.md that say what the code says: `python -m docs.words` writes them."""

from __future__ import annotations

import re
from pathlib import Path

import engine
import engine.scoring
from engine.mergekit import MERGES
from engine.method import METHODS
from engine.parameter import Parameter
from engine.scoring.registry import SCORERS
from studio.glossary import page

PAGE = Path(__file__).parent / "methods.md"
assert engine.scoring  # both imports register


def _parameter(each: Parameter) -> str:
    """A parameter with its default, its sentence and those of its values."""
    said = "needed" if each.required else each.default
    if each.kind in ("texts", "directory") or said is None or said == "":
        said = None
    elif each.kind == "flag":
        said = str(said).lower()
    default = "" if said is None else f" ({said})"
    lines = [f"  * `{each.name}`{default}: {each.sentence}\n"]
    return "".join([*lines, *(f"    * `{k}`: {v}\n" for k, v in each.choices.items())])


def methods() -> str:
    """Every method with its sentences."""
    lines = []
    for each in METHODS.values():
        slider = f" A slider: {each.slider[0].lower()}{each.slider[1:]}" if each.slider else ""
        lines.append(f"* **`{each.name}`** ({each.space} space): {each.words}{slider}\n")
        lines += map(_parameter, each.parameters)
    return "".join(lines)


def scorers() -> str:
    """Every scorer with its sentences."""
    lines = []
    for each in SCORERS.values():
        lines.append(f"* **`{each.name}`** ({each.unit}, {each.direction}): {each.summary}.\n")
        lines += map(_parameter, each.options)
    return "".join(lines)


def _defaults(parameters: tuple[Parameter, ...]) -> str:
    """Parameters of a method of mergekit's with their defaults."""
    said = []
    for each in parameters:
        value = str(each.default).lower() if each.kind == "flag" else each.default
        value = "needed" if each.required else value
        said.append(f"`{each.name}`" if value is None else f"`{each.name}` ({value})")
    return ", ".join(said) or "–"


def merges() -> str:
    """A table of mergekit's methods."""
    bases = {"needed": "needed", "optional": "optional", "plain": "one of the models"}
    lines = [
        "| `merge_method` | result | base | models | of each model | of the merge |\n",
        "|---|---|---|---|---|---|\n",
    ]
    for each in sorted(MERGES.values(), key=lambda each: each.name):
        least = "any" if each.least == 0 else f"{each.least} or more"
        count = least if each.most is None else str(each.most)
        mark = " (random)" if each.random else ""
        cells = [each.summary.rstrip("."), bases[each.base], count]
        cells += [_defaults(each.each), _defaults(each.shared)]
        lines.append(f"| `{each.name}`{mark} | {' | '.join(cells)} |\n")
    return "".join(lines)


def written(text: str) -> str:
    """The page with each part between its marks as the code has it now."""
    parts = {"methods": methods(), "scorers": scorers(), "merges": merges(), "words": page()}
    for name, part in parts.items():
        marks = re.compile(rf"(<!-- {name}, by docs/words.py -->\n).*?(<!-- end -->)", re.DOTALL)
        assert marks.search(text), name
        text = marks.sub(lambda found, part=part: found[1] + part + found[2], text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
