"""Twenty points, damaged at every byte: the workspace opens, the rest is intact, the damage named.

Every byte of a journal is damaged and its lines read, every byte of a segment and its checksum
compared. The workspace is opened (`tests.faults.every_byte`) after each PARETOSCOPE_EVERY_BYTE-th;
`make faults` takes all, on all cores.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from zlib import crc32

import pytest

from cache.damage import Damaged
from cache.journal import journal_schema
from cache.lines import schema_of
from cache.lines import whole as whole_lines
from cache.mending import mend
from cache.segments import checksum_of, list_segments, twin_of
from cache.tables import to_table
from tests.faults.every_byte import Counts, Workspace, altered, damage, write_workspace

EVERY = int(os.environ.get("PARETOSCOPE_EVERY_BYTE", "907"))

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole") / "home"
    write_workspace(home)
    return home


def test_every_byte_of_a_journal(whole: Path) -> None:
    path = min((whole / "journal").glob("*.jsonl"))
    data = path.read_bytes()
    good = to_table(data, "j", 0, journal_schema(path))[0].drop_columns(["position"]).to_pylist()
    for place in range(len(data)):
        for new in {altered(data, place)[place], 0x0A}:
            if new == data[place]:
                continue
            bad = data[:place] + bytes([new]) + data[place + 1 :]
            schema = schema_of(bad.split(b"\n", 1)[0])
            rows, damaged = to_table(bad[: whole_lines(bad)], "j", 0, schema)
            found = rows.drop_columns(["position"]).to_pylist()
            assert len(damaged) == 1 and damaged[0].start <= place, (place, new)
            assert place < damaged[0].start + len(damaged[0].data), (place, new)
            missing = [each for each in good if each not in found]
            header = place <= data.index(b"\n")
            assert len(missing) == (0 if header or data[place] == 0x0A else 1), (place, new)
            assert len(found) + len(missing) == len(good)


def test_every_byte_of_a_segment(whole: Path, tmp_path: Path) -> None:
    (name,) = list_segments(whole / "segments")
    directory = tmp_path / "segments"
    directory.mkdir()
    data = (whole / "segments" / name).read_bytes()
    segment, twin = directory / name, twin_of(directory / name)
    wanted = checksum_of(name)
    assert crc32(data) == wanted
    assert all(crc32(altered(data, place)) != wanted for place in range(len(data)))
    for place in range(0, len(data), min(EVERY, len(data) // 10)):
        other = (place * 31 + 17) % len(data)  # both are damaged, and give each other back
        segment.write_bytes(altered(data, place))
        twin.write_bytes(altered(data, other) if place % 2 and other != place else data)
        damaged = Damaged(tmp_path)
        assert mend(segment, damaged)
        assert segment.read_bytes() == data == twin.read_bytes()
        assert any(each.byte == place for each in damaged.all()), place
        shutil.rmtree(tmp_path / "damaged")


def test_a_workspace_opens_and_names_what_is_damaged(tmp_path: Path) -> None:
    counts = damage(tmp_path, EVERY)
    assert counts.failures == []
    assert {"journal", "segments", "blobs", "index.duckdb"} <= set(counts.bytes)
    assert counts.opened >= sum(counts.bytes.values())
    assert counts.named + counts.harmless + counts.away == sum(counts.bytes.values())
    assert counts.bytes["journal"] + counts.bytes["segments"] <= counts.named


def test_the_last_byte_of_a_journal_beside_an_index(tmp_path: Path) -> None:
    """Its row is there, and the index has read beyond it."""
    place = Workspace(tmp_path / "home")
    name = max(each for each in place.sound if each.startswith("journal/"))
    for new in (0x8A, 0x0B, ord("x")):
        data = place.sound[name]
        (place.home / name).write_bytes(data[:-1] + bytes([new]))
        assert place.compare(name, len(data) - 1, Counts()), hex(new)
        place.mend()


def test_what_is_altered_is_seen(tmp_path: Path) -> None:
    """The other side: a value that changes without a word is a failure here."""
    place = Workspace(tmp_path / "home")
    point = next(iter(place.truth))
    place.truth[point] = (*place.truth[point], "other")
    with pytest.raises(AssertionError, match="altered"):
        place.compare("journal", 0, Counts())
