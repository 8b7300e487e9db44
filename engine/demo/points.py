"""The points that come with the demo: measured by the program itself, never made up.

    python -m engine.demo.points        measures them again, in a few minutes

They are the rows that these recipes leave in a workspace, per-example values included and texts
left out, as one segment of its journal. After retraining the family they have to be measured again:
scores are keyed by the contents of the models, wherever they are stored.

They were measured in float32 on a CPU, and are keyed so. A machine with a GPU computes with other
numerics, so the pages show what it measures itself there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.compaction import compact
from cache.joining import SHIPPED
from cache.segments import METADATA, SCHEMA, list_segments, read_segment
from cache.tables import NAMES, columns
from engine.demo.write import POINTS, write_demo
from engine.recipe import Recipe, resolve, unmerged
from engine.search.designs import design
from engine.study import Study, load_study
from engine.unfinished import temporary_directory


@dataclass(frozen=True)
class Sweep:
    """Points of one method, by a Sobol design.

    Attributes:
        points: how many.
        ranges: name -> (least, most), where that is narrower than the sliders.
        parameters: structural ones that are not the default.
    """

    method: str
    points: int
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


BALANCED = {"ratio": 0.8, "variant": "vision"}
"""PCB for models as small as these, where nearly every weight counts: of its defaults, which keep
one in ten, there are points too, and they stay near the base."""

SWEEPS = (
    Sweep("task_arithmetic", 24),
    Sweep("task_arithmetic", 32, {"helpful": (0, 1.2), "harmless": (0, 0.3), "honest": (0.5, 1.4)}),
    Sweep("pcb", 12),
    Sweep("pcb", 12, parameters=BALANCED),
    Sweep("pcb", 26, {"helpful": (0.5, 1.5), "harmless": (0, 0.3), "honest": (0.9, 1.5)}, BALANCED),
    Sweep("linear", 14),
    Sweep("logit_fusion", 12),
    Sweep("logit_fusion", 18, {"base": (0, 0.1), "helpful": (0.15, 0.5), "harmless": (0, 0.1),
                               "honest": (0.5, 0.9)}),
    Sweep("logit_fusion", 8, {"base": (0, 0.1), "helpful": (0.15, 0.4), "harmless": (0.6, 0.9),
                              "honest": (0, 0.05)}),
    Sweep("proxy_tuning", 12),
    Sweep("proxy_tuning", 14, {"helpful": (0, 1), "harmless": (0, 0.3), "honest": (0.5, 1.6)}),
)  # fmt: skip
"""Of each method some over all its sliders, for the surfaces, and more where it trades facts
against honesty, which the first chart shows."""


def recipes(study: Study) -> list[Recipe]:
    """Everything that is measured: the unmerged models, then every sweep."""
    names = study.family.names
    found = [resolve(unmerged(each), names) for each in names.models]
    for each in SWEEPS:
        within = replace(study, ranges={each.method: each.ranges} if each.ranges else {})
        found += design(within, each.method, each.points, "sobol", parameters=each.parameters)
    return list(dict.fromkeys(found))


def measure(study: Path, workspace: Path, files: Path) -> None:
    """Measure everything by the command `evaluate`; what is there already is not measured again."""
    command = [sys.executable, "-m", "engine", "evaluate", str(study), "--json"]
    command += ["--workspace", str(workspace), "--device", "cpu", "--compute-dtype", "float32"]
    for number, recipe in enumerate(recipes(load_study(study))):
        file = files / f"{number:03d}.yaml"
        file.write_text(recipe.to_yaml(), "utf-8")
        command += ["--recipe", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def collect(workspace: Path, out: Path) -> int:
    """Write the score rows of a workspace that nobody has open as one segment.

    Returns:
        How many rows there are.
    """
    segments = workspace / "segments"
    compact(workspace / "journal", segments, least=1)
    known: dict[str, int] = {}
    rows = pa.concat_tables(
        read_segment(segments / name, known) for name in list_segments(segments)
    )
    rows = rows.filter(pc.equal(rows.column("kind"), "score")).sort_by("at")
    count = rows.num_rows
    scores = json.dumps(rows.select(["id", "mean"]).to_pydict()).encode()
    # its own name for every content: a workspace takes from a source only what it does not have
    source = f"{SHIPPED}{hashlib.sha256(scores).hexdigest()[:12]}"
    replaced = {
        "texts": pa.nulls(count, pa.string()),
        "source": pa.array([source] * count, pa.string()),
        "position": pa.array(range(1, count + 1), pa.int64()),
    }
    rows = pa.Table.from_arrays(
        [replaced.get(name, rows.column(name)) for name in NAMES], schema=columns()
    )
    metadata = json.dumps({"schema": SCHEMA, "sources": {source: count}})
    pq.write_table(
        rows.replace_schema_metadata({METADATA: metadata}),
        out,
        compression="zstd",
        compression_level=19,
    )
    return count


def main() -> None:
    with temporary_directory("points") as place:
        home, files = Path(place) / "home", Path(place) / "recipes"
        files.mkdir()
        measure(write_demo(Path(place) / "demo"), home, files)
        count = collect(home, POINTS)
    sys.stdout.write(f"{POINTS}: {count} scores, {POINTS.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
