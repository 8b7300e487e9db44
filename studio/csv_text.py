"""Tables as CSV files. A text that a spreadsheet would run as a formula begins with an apostrophe.

Names, notes, prompts and answers come from anybody. A spreadsheet takes a cell that begins with = +
- or @ for a formula, and some strip invisible characters before it, quoted or not. The apostrophe
makes it a text. A number is a number, also where a text is one.
(https://owasp.org/www-community/attacks/CSV_Injection)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from importlib import import_module

from cache.arrow import pa, pc

# both are read by `re` and by pyarrow's RE2
_BLANK, _SIGNS = " \u00a0\u3000\ufeff", "=+@\uff1d\uff0b\uff20\uff0d-"
RISKY = rf"^(?:[\x00-\x1f\x7f]|[{_BLANK}]*[{_SIGNS}])"
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"

_RISKY, _NUMBER = re.compile(RISKY), re.compile(NUMBER + r"(?!\n)")


def guarded(text: str) -> str:
    """A text as a cell may hold it."""
    return f"'{text}" if _RISKY.match(text) and not _NUMBER.match(text) else text


def of_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A file of rows; line ends in texts are kept, quoted as RFC 4180 has it."""
    out = io.StringIO(newline="")
    write = csv.writer(out)
    for row in (header, *rows):
        write.writerow([guarded(each) if isinstance(each, str) else each for each in row])
    return out.getvalue().encode()


def of_table(table: pa.Table) -> bytes:
    """A file of columns: every digit of a number, an empty cell if there is none."""
    columns = [_guarded_column(each) for each in table.columns]
    file = io.BytesIO()
    made = pa.Table.from_arrays(columns, [guarded(each) for each in table.column_names])
    import_module("pyarrow.csv").write_csv(made, file)
    return file.getvalue()


def _guarded_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column, every text of it `guarded`; without a Python loop over them."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_string(column.type):
        return column
    risky = pc.and_not(
        pc.match_substring_regex(column, RISKY), pc.match_substring_regex(column, NUMBER)
    )
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
