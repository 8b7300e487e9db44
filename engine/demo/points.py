"""The points that come with the demo: measured by the program itself, never made up.

    python -m engine.demo.points        measures them anew, in some minutes

They are the rows that the sweeps below leave in a workspace, per-example values included and texts
left out, as one segment of its journal. Whoever retrains the family has to measure them anew: their
scores are keyed by the contents of the models, wherever those lie.

They were measured in float32 on a CPU, and are keyed so. A machine with a GPU computes with other
numerics, so the pages show what it measures itself there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.compaction import compact
from cache.joining import SHIPPED
from cache.segments import METADATA, SCHEMA, list_segments, read_segment
from cache.tables import NAMES, columns
from engine.demo.write import POINTS, write_demo
from engine.unfinished import temporary_directory

SWEEPS = {"task_arithmetic": 60, "pcb": 40, "linear": 25, "logit_fusion": 25, "proxy_tuning": 25}
"""Method -> points of its Sobol design. Every sweep scores the models as they are first."""


def sweep(study: Path, workspace: Path) -> None:
    """Measure everything, a command a method; resumes where it was stopped."""
    for method, points in SWEEPS.items():
        command = [sys.executable, "-m", "engine", "sweep", str(study), "--method", method]
        command += ["--points", str(points), "--strategy", "sobol", "--workspace", str(workspace)]
        command += ["--device", "cpu", "--compute-dtype", "float32"]
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
        home = Path(place) / "home"
        sweep(write_demo(Path(place) / "demo"), home)
        count = collect(home, POINTS)
    sys.stdout.write(f"{POINTS}: {count} scores, {POINTS.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
