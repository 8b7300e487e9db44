"""The readable text of what became of rows, and of gaps closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.recipe import recipe_from_dict

Document = Mapping[str, Any]


def rows(document: Document) -> str:
    """Every point with what became of each objective's rows."""
    blocks = []
    for each in document["points"]:
        against = f", against {', '.join(each['parents'])}" if each["parents"] else ""
        lines = [f"{each['id']}  {recipe_from_dict(each['recipe'])}{against}:"]
        for name, found in each["objectives"].items():
            if found["reason"] is not None:
                lines.append(f"  {name}: {found['reason']}")
                continue
            said = ", ".join(f"{kind} {found[kind]}" for kind in found["lines"])
            net = f"net {found['net']:+.4g}{_error(found['stderr'])}"
            lines.append(f"  {name}: {said} of {found['n']}; {net}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def references(document: Document) -> str:
    """Every reference with its scores, and what it is not measured on."""
    lines = []
    for each in document["references"]:
        said = [
            f"{name} – "
            if score["mean"] is None
            else f"{name} {score['mean']:.4g}" + _error(score["stderr"])
            for name, score in each["scores"].items()
        ]
        lines.append(f"{each['name']}  {each['path']}: {', '.join(said) or 'not measured'}")
        lines += [f"    not on {name}: {why}" for name, why in each["skipped"].items()]
    return "\n".join(lines)


def _error(stderr: float | None) -> str:
    return "" if stderr is None else f" ± {stderr:.2g}"


MORE = {"rows": rows, "references": references}
"""Command -> its text."""


def gap_words(found: Document | None) -> str:
    """The gap that a point closes, in a line below its own; empty where it was not asked for."""
    if not found:
        return ""
    said = []
    for name, each in found["objectives"].items():
        closed = f"– ({each['reason']})" if each["value"] is None else f"{each['value']:.3g}"
        said.append(f"{name} {closed}{_error(each['stderr'])}")
    return f"\n    of the gap from {found['from']} to {found['to']}: {', '.join(said)}"


def stopped_point(found: Document) -> str:
    """A point that a race stopped, with what it was scored on."""
    said = ", ".join(
        f"{name} {each['mean']:.4g}{_error(each['stderr'])} ({each['n']} of {each['of']} rows)"
        for name, each in found["scores"].items()
    )
    chance = f"on the front with {found['probability']:.1%}"
    return f"{found['id']}  {recipe_from_dict(found['recipe'])}: stopped, {chance}; {said}"
