"""What a family's notes say of tensors that are not merged."""

from __future__ import annotations

from engine.family.checkpoint import Checkpoint


def beside_notes(base: Checkpoint, towers: str) -> list[str]:
    """What is not merged and goes into exports as the base has it."""
    notes = []
    ignored = base.ignored - base.towers
    if ignored:
        notes.append(
            f"base: {len(ignored)} tensors ({min(ignored)} …) are not used by its class; they "
            "are not merged, and exports keep those of base."
        )
    if base.towers and towers == "base":
        notes.append(
            f"base: {len(base.towers)} tensors ({min(base.towers)} …) are outside its text "
            "model; exports keep those of base (`towers: merge` merges them)."
        )
    return notes
