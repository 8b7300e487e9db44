"""An untrusted file: read only if it is a regular file and not too large.

A device never ends, a named pipe never begins, and a path with five thousand characters or a null
byte is invalid; each gives one message at once.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.errors import bad

_SORTS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def irregular(mode: int) -> str | None:
    """What a file of this mode is where it is not a regular one."""
    return next((name for test, name in _SORTS if test(mode)), None)


def read_plain(path: Path, most: int, *, where: str = "", fix: str = "") -> bytes:
    """The content of a regular file.

    Args:
        most: bytes; a larger file is refused, and one that grows meanwhile is read no further.
        where: what the message names as its place; the path by itself where empty.
        fix: what to do about a file that is not regular or too large.

    Raises:
        BadInput: no such file, no regular file, larger than that, or it cannot be read.
    """
    place = where or str(path)
    try:
        what = irregular(os.stat(path).st_mode)
        if what is not None:
            raise bad(place, f"it is {what}, not a regular file", fix or "Name a file.")
        # should a pipe take its place in between, opening it does not wait for a writer
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            what = irregular(found.st_mode)
            if what is not None:
                raise bad(place, f"it is {what}, not a regular file", fix or "Name a file.")
            content = b"" if found.st_size > most else file.read(most + 1)
    except FileNotFoundError:
        raise bad(place, "no such file", "Check the path.") from None
    except OSError as error:
        raise bad(place, f"cannot be read ({error.strerror or error})", "Check the file.") from None
    except ValueError as error:  # a null byte
        raise bad(place, f"not a path ({error})", "Check the path.") from None
    if found.st_size > most or len(content) > most:
        size = max(found.st_size, len(content))
        what = f"it has {size:,} bytes; {most:,} is the limit"
        raise bad(place, what, fix or "This is probably the wrong file.")
    return content
