"""Chat templates that insert today's date, fixed to one day so that scores do not change.

Templates ask `strftime_now(format)` for it. A macro of that name, written in front of the template,
answers for 26 July 2024, the day that Llama's own template names where it knows no other.
"""

from __future__ import annotations

import re
from datetime import datetime

DAY = datetime(2024, 7, 26)

_CALL = re.compile(r"\bstrftime_now\b")
# directives of strftime that a template may use; "%%" last, when every other is replaced
_DIRECTIVES = (
    *(f"%-{each}" for each in "dmHIMSjy"),
    *(f"%{each}" for each in "aAwdbBhmyYHIpMSfjUWcxXDFTReuGV"),
)


def uses_date(template: str | None) -> bool:
    """Whether a chat template writes the date of the day it is rendered on."""
    return template is not None and bool(_CALL.search(template))


def pinned(template: str) -> str:
    """The template as it is rendered on `DAY`; one without a date as it is."""
    if not uses_date(template):
        return template
    steps = "".join(f"|replace('{each}','{_said(each)}')" for each in _DIRECTIVES)
    macro = "{% macro strftime_now(format) %}{{ format" + steps + "|replace('%%','%') }}"
    # an expression behind the macro keeps a line break that the template begins with
    return macro + "{% endmacro %}{{ '' }}" + template


def _said(directive: str) -> str:
    if directive.startswith("%-"):
        return DAY.strftime(f"%{directive[2:]}").lstrip("0") or "0"
    return DAY.strftime(directive)
