"""Nothing is lost: damaged data is set aside, and rows that only the index holds are saved again.

journal line damaged ─► its bytes to damaged/ ─┐
journal gone or cut short ─────────────────────┼─► rows of it in the index ─► our own journal
segment that nothing repairs ─► to damaged/ ─────┘
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from cache.damage import LEFT_OUT, Damaged
from cache.journal import SUFFIX, Journal, cut_short, end_of, list_journals
from cache.lines import Bad
from cache.mending import check_segment, give_up, mend, unmatched
from cache.rescue import Lost, held, lost
from cache.segments import PARQUET, TWIN, Unreadable, list_segments, segment_sources
from cache.tables import damage_of
from engine.counted import counted
from engine.errors import ParetoscopeError

log = logging.getLogger(__name__)

BROKEN = (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
CORRUPT = re.compile("corrupt|checksum|not a valid DuckDB", re.IGNORECASE)
"""What DuckDB says of a file that is damaged, beside the errors that are said of nothing else."""

SAVED = "it was still in the index and has been saved again"
NAMED = 3


class Keeper:
    """Keeps what the files of one workspace lose.

    Args:
        journal: where rows are saved again; None for a process that does not own the index.

    Attributes:
        index: a connection to an index that may hold what is lost, None if there is none.
        remembered: what an index knows of the footers of segments that it has read.
    """

    def __init__(
        self, journals: Path, segments: Path, damaged: Damaged, journal: Journal | None
    ) -> None:
        self.journals, self.segments = journals, segments
        self.damaged = damaged
        self.index: Callable[[], duckdb.DuckDBPyConnection] | None = None
        self.remembered: Callable[[], Mapping[str, dict[str, int]]] = dict
        self._journal = journal

    def clear(self) -> None:
        """Move aside what has the name of a journal or a segment and is no file."""
        strange = []
        for place in (self.journals, self.segments):
            with suppress(FileNotFoundError), os.scandir(place) as entries:
                named = [each for each in entries if each.name.endswith((SUFFIX, PARQUET, TWIN))]
                strange += [Path(each.path) for each in named if not each.is_file()]
        for path in strange:
            self.damaged.move(path, held="something other than a file", outcome="moved there")

    def set_aside(self, path: Path, bad: Sequence[Bad]) -> bool:
        """Keep what is damaged in a journal; once it returns true, that is on disk."""
        kept = True
        for each in bad:
            place = Lost(path.name.removesuffix(SUFFIX), each.start, each.start + len(each.data))
            # a damaged newline alone is no row, and the row before it ends there
            saved = self._save([place])[0] if len(each.data) > 1 else 0
            if saved is None:
                kept = False
            kept &= self.damaged.lines(path, [each], SAVED if saved else LEFT_OUT)
        return kept

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """A file that the system does not let us read (a bad sector, another user's) is reported,
        and left: the others are read. One that is gone is for the caller."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            held = f"rows that cannot be read ({error.strerror or error})"
            outcome = "left in place; the next start tries again"
            self.damaged.keep(path, b"", held=held, outcome=outcome)

    def save_lost(self, known: Mapping[str, int]) -> bool:
        """Save the rows of journals that are gone or cut short.

        Args:
            known: journal name -> byte up to which the index has read it.

        Returns:
            Whether every row that was lost is saved.
        """
        done = True
        for place in lost(known, self.there()):
            count, points = self._save([place])
            if count is None:
                done = False
            elif count:
                named = ", ".join(points[:NAMED]) or "none"
                named += f" and {len(points) - NAMED} more" if len(points) > NAMED else ""
                rows = f"{counted(count, 'row')} (points {named})"
                self.damaged.keep(
                    self.journals / f"{place.source}{SUFFIX}",
                    b"",
                    byte=place.start,
                    held=f"{rows} that are in no file any more",
                    outcome="they were still in the index and have been saved again",
                )
        return done

    def there(self) -> dict[str, int]:
        """Journal name -> bytes of it that files hold."""
        found = list_journals(self.journals)
        for name in list_segments(self.segments):
            for source, end in self.sources(name).items():
                found[source] = max(end, found.get(source, 0))
        return found

    def sources(self, name: str) -> dict[str, int]:
        """`segment_sources` of a segment, repaired first where it must be; none of a bad one."""
        known = self.remembered().get(name)
        if known is not None and (self.segments / name).exists():
            return known
        try:
            return segment_sources(self.segments / name)
        except FileNotFoundError:
            return {}
        except Unreadable:
            return segment_sources(self.segments / name) if self.mended(name) else {}

    def mended(self, name: str) -> bool:
        """Make a damaged segment whole, or move it aside and return False."""
        with self.reading(self.segments / name):
            if mend(self.segments / name, self.damaged, self._elsewhere):
                return True
            give_up(self.segments / name, self.damaged)
        return False

    def _elsewhere(self, sources: Mapping[str, int]) -> bool:
        """Whether other files hold everything in a segment whose writing or removal was cut
        short."""
        return not lost(sources, self.there())

    def files(self) -> list[tuple[Path, int]]:
        """Every journal and segment with its size in bytes (twins counted), the smallest first."""
        journals = list_journals(self.journals).items()
        found = [(self.journals / f"{name}{SUFFIX}", size) for name, size in journals]
        for name in (*list_segments(self.segments), *unmatched(self.segments)):
            path = self.segments / name
            found.append((path, 2 * path.stat().st_size if path.exists() else 0))
        return sorted(found, key=lambda each: each[1])

    def check(self, files: Iterable[tuple[Path, int]]) -> None:
        """Look whether files are what was written, and repair or set aside what is not."""
        for path, size in files:
            try:
                if path.parent == self.journals:
                    bad = damage_of(path, size)
                    if bad:
                        self.set_aside(path, bad)
                elif not check_segment(path):
                    self.mended(path.name)
            except FileNotFoundError:
                continue  # compacted or merged
            except (OSError, ParetoscopeError) as error:
                log.warning("%s could not be checked (%s)", path, error)

    def index_is_damaged(self, file: Path, reason: object) -> None:
        """Tell that bytes of an index are not what was written, where that is why it is rebuilt:
        not of another version, without room on the disk or in memory."""
        said = str(reason)
        if isinstance(reason, duckdb.Error) and (
            isinstance(reason, BROKEN) or CORRUPT.search(said)
        ):
            self.damaged.keep(
                file, said.encode(), held="the index, which is built from the journals",
                outcome="rebuilt",
            )  # fmt: skip

    def check_ends(self, known: Mapping[str, int]) -> None:
        """Set aside what stands after the last whole line of dead writers' journals, but for rows
        whose writing was cut short: those were never saved.

        Args:
            known: journal name -> byte up to which an index has read it.
        """
        for name in list_journals(self.journals):
            path = self.journals / f"{name}{SUFFIX}"
            try:
                end = end_of(path)
            except OSError as error:
                log.warning("the end of %s could not be checked (%s)", path, error)
                continue
            if end is not None and (end.start < known.get(name, 0) or not cut_short(end)):
                self.set_aside(path, [end])

    def _save(self, places: Sequence[Lost]) -> tuple[int | None, list[str]]:
        """How many rows of lost places were in the index alone and are saved now, and their points;
        None for a count where they cannot be read or saved."""
        count, points = 0, dict[str, None]()
        if self.index is None or self._journal is None:
            return 0, []
        try:
            for rows in held(self.index(), places):
                self._journal.restore(rows)
                count += len(rows)
                points |= dict.fromkeys(row["point"] for row in rows if row.get("point"))
        except (duckdb.Error, ParetoscopeError) as error:
            log.warning("rows that only the index may hold could not be saved (%s)", error)
            return None, []
        return count, list(points)
