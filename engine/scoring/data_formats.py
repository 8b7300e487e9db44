"""The formats of data files: bytes in, records with their place in the file out.

    JSON Lines                  an object a line
    a JSON list, JSON objects   printed over several lines or not; one object that holds one list
    CSV, TSV                    the first line names the columns; cells are texts
    Parquet                     through pyarrow

Each also gzipped. Content decides, and the name where content alone does not. Nothing is executed
or fetched: pickles and archives are refused by name. Text formats count lines, Parquet counts rows,
both from 1. What the records mean is not known here.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from engine.counted import size_text
from engine.errors import bad
from engine.scoring.data_cells import cells_of, parquet_of
from engine.scoring.data_table import Table, Unread

MAX_BYTES = 1_000_000_000
"""Largest file that is read, and largest content of a gzipped or Parquet one."""

BOM = b"\xef\xbb\xbf"

WRAPPERS = ("data", "examples", "rows", "instances", "items", "records", "train", "validation",
            "test")  # fmt: skip
"""Names under which one JSON object may hold the list of a file's rows."""

_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (as .xlsx and .npz are)", "Unpack it, or save it as CSV."),
    (b"\x80\x02", "a pickle, which is never loaded", "Save it as JSON Lines or Parquet."),
    (b"\x80\x03", "a pickle, which is never loaded", "Save it as JSON Lines or Parquet."),
    (b"\x80\x04", "a pickle, which is never loaded", "Save it as JSON Lines or Parquet."),
    (b"\x80\x05", "a pickle, which is never loaded", "Save it as JSON Lines or Parquet."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it: unzstd FILE."),
    (b"BZh", "compressed with bzip2", "Unpack it: bunzip2 FILE."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it: unxz FILE."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet: dataset.to_parquet(FILE)."),
    (b"\xff\xff\xff\xff", "an Arrow stream", "Save it as Parquet: dataset.to_parquet(FILE)."),
    (b"SQLite format 3", "an SQLite database", "Save its table as CSV."),
    (b"%PDF", "a PDF document", "Provide the data itself."),
    (b"\xff\xfe", "text in UTF-16", "Save the file as UTF-8."),
    (b"\xfe\xff", "text in UTF-16", "Save the file as UTF-8."),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "Fetch the data: git lfs "
    "pull."),
)  # fmt: skip


def read_bytes(path: Path, where: str) -> bytes:
    """A data file's content; raises `BadInput` if it cannot be read."""
    try:
        found = path.stat()
        if found.st_size > MAX_BYTES:
            what = f"holds {size_text(found.st_size)}; {size_text(MAX_BYTES)} is the limit"
            raise bad(f"{where}: {path}", what, "Keep only the rows to be measured.")
        if not S_ISREG(found.st_mode) and not path.is_dir():
            raise bad(f"{where}: {path}", "is not a regular file", "Correct the path.")
        return path.read_bytes()
    except FileNotFoundError:
        raise bad(f"{where}: {path}", "there is no such file", "Correct the path.") from None
    except OSError as error:
        raise bad(f"{where}: {path}", f"cannot be read: {error.strerror}") from error


def table_of(content: bytes, name: str) -> Table:
    """The records of a file's content.

    Args:
        name: the file's name, which decides where the content does not.

    Raises:
        Unread: it is in no format that is read, or not what its format says.
    """
    suffixes = [each.lower() for each in Path(name).suffixes[-2:]]
    zipped = content[:2] == b"\x1f\x8b"
    if zipped:
        content = _unzipped(content)
        suffixes = [each for each in suffixes if each not in (".gz", ".gzip")]
    suffix = suffixes[-1] if suffixes else ""
    for magic, form, fix in _FOREIGN:
        if content.startswith(magic):
            raise Unread(f"it is {form}", fix)
    found = _parsed(content, suffix)
    form = f"{found.form}, gzipped" if zipped else found.form
    return Table(form, found.records, found.untyped, found.rows)


def _unzipped(content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unread(f"it is gzipped, but damaged: {error}", "Download the file again.") from None
    if len(found) > MAX_BYTES:
        what = f"it is gzipped, but contains more than {size_text(MAX_BYTES)}"
        raise Unread(what, "Keep only the rows to be measured.")
    return found


def _parsed(content: bytes, suffix: str) -> Table:
    if content[:4] == b"PAR1":
        return Table("Parquet", tuple(parquet_of(content, MAX_BYTES)), rows=True)
    if suffix in (".parquet", ".pq") and content:
        raise Unread(
            "it is named like Parquet, but is not (no PAR1 at its start)", "Download it again."
        )
    content = content.removeprefix(BOM)
    start = content.lstrip()[:64]
    if start[:1] == b"<" and re.match(rb"<(!doctype|html|\?xml)", start, re.IGNORECASE):
        raise Unread("it is a web page or XML, not data", "Download the file itself.")
    if suffix in (".csv", ".tsv", ".tab"):
        return _cells(content, suffix)
    if start[:1] == b"[":
        return _list(content)
    if start[:1] == b"{" or not start or suffix in (".jsonl", ".ndjson", ".json"):
        return _objects(content)
    head = content.lstrip().split(b"\n", 1)[0]
    if b"\t" in head or b"," in head:
        return _cells(content, ".tsv" if b"\t" in head else ".csv")
    what = "it is not JSON Lines, JSON, CSV, TSV or Parquet"
    raise Unread(what, f"Its first line: {_shown(head)}.")


def _shown(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace").strip()
    return repr(text if len(line) <= 60 else f"{text}…")


def decoded(content: bytes) -> str:
    """The text of UTF-8 bytes; raises `Unread` with the line of the first that is not."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        what = f"is not UTF-8 (byte {place})"
        raise Unread(what, "Save the file as UTF-8.", line) from None


def _cells(content: bytes, suffix: str) -> Table:
    text = decoded(content)
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = "," if suffix == ".csv" else "\t"
    if delimiter not in head:
        delimiter = next((each for each in "\t;" if each in head), delimiter)
    form = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons"}[delimiter]
    return Table(form, tuple(cells_of(text, delimiter, form)), untyped=True)


def _value(text: str) -> Any:
    """One JSON value; raises `Unread`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        fix = "Each line must be one JSON object."
        raise Unread(f"is not JSON: {error.msg} at column {error.colno}", fix) from None
    except (ValueError, RecursionError) as error:
        raise Unread(f"is not usable JSON: {error}") from None


def _line(line: bytes) -> Any:
    try:
        return _value(decoded(line))
    except Unread as error:
        error.line = None
        return error


def _objects(content: bytes) -> Table:
    """JSON Lines; or objects that are printed over several lines, one after the other."""
    lines = [
        (number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()
    ]
    if lines and isinstance(_line(lines[0][1]), Unread) and not _some_objects(lines):
        if content.lstrip()[:1] != b"{":
            what = "it is named like JSON, but its first line is not JSON"
            fix = (
                f"{_shown(lines[0][1])}. Use .csv for CSV and .tsv for TSV; JSON Lines have one "
                "object per line."
            )
            raise Unread(what, fix, lines[0][0])
        found = tuple(_stream(decoded(content), "it looks like JSON spread over several lines"))
        return _unwrapped(Table("JSON objects spread over several lines", found))
    return _unwrapped(Table("JSON Lines", tuple((n, _line(line)) for n, line in lines)))


def _some_objects(lines: list[tuple[int, bytes]]) -> bool:
    """Whether a later line is an object by itself, so that a bad first line is just one."""
    some = (_line(line) for _, line in lines[1:50] if line[:1] == b"{")
    return any(isinstance(each, dict) and each for each in some)


def _list(content: bytes) -> Table:
    """One JSON list; or lines that hold a list each, which no row can be."""
    text = decoded(content)
    place = text.index("[")
    found = tuple(_stream(text, "it looks like a JSON list", place + 1, "]"))
    return Table("a JSON list", found)


def _stream(text: str, form: str, place: int = 0, end: str = "") -> Iterator[tuple[int, Any]]:
    """(line, value) of JSON values one after the other; up to `end`, with commas, in a list."""
    decoder = json.JSONDecoder()
    blank = re.compile(r"[ \t\r\n]*")
    line, counted, first = 1, 0, True

    def at(where: int) -> int:
        nonlocal line, counted
        line += text.count("\n", counted, where)
        counted = where
        return line

    def skip(where: int) -> int:
        found = blank.match(text, where)
        return where if found is None else found.end()

    while True:
        place = skip(place)
        if end and text[place : place + 1] == end:
            break
        if place < len(text) and end and not first:
            if text[place] != ",":
                raise Unread(f"{form}: expected ',' or {end!r}", "Correct it.", at(place))
            place = skip(place + 1)
        if place >= len(text):
            if end:
                what = f"{form}, but ends before its {end!r}"
                raise Unread(what, "Check that the file is complete.", at(place))
            return
        first = False
        here = at(place)
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            lineno = error.lineno
            what = f"{form}, but is not JSON: {error.msg} at column {error.colno}"
            raise Unread(what, "JSON Lines have one object per line.", lineno) from None
        except (ValueError, RecursionError) as error:
            raise Unread(f"{form}, but is not usable JSON: {error}", "", here) from None
        yield here, value
    rest = skip(place + 1)
    if rest < len(text):
        what = f"{form}, but continues after its {end!r}"
        raise Unread(
            what,
            "JSON Lines have one object per line; a JSON list must be the whole file.",
            at(rest),
        )


def _unwrapped(table: Table) -> Table:
    """The rows of a file that is one object around their list, as {"data": [...]}."""
    if len(table.records) != 1 or not isinstance(table.records[0][1], Mapping):
        return table
    line, record = table.records[0]
    lists = {
        name: value
        for name, value in record.items()
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
    }
    if len(lists) != 1 or next(iter(lists)) not in WRAPPERS:
        return table
    [(name, rows)] = lists.items()
    return Table(f"a JSON object with the list {name!r}", tuple((line, row) for row in rows))
