"""Name and code of a reference system, from its text alone, without a library for systems."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Named", "named"]

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|([\[(])|([\])])|([A-Za-z_]\w*)|([-+.\dEe]+)|\S')
_LONGEST = 1 << 20


class Named(NamedTuple):
    """What a text says that it is.

    Parameters
    ----------
    name : str
        Empty where it has none.
    code : str
        Such as ``EPSG:4326``; empty where it has none.
    """

    name: str = ""
    code: str = ""


def named(text: str) -> Named:
    """Return name and code of a reference system.

    Parameters
    ----------
    text : str
        Well-known text, version 1 or 2 (ISO 19162, sections 7.3.3 and 7.3.4).
    """
    within: list[str] = []
    word, name, code = "", "", ""
    parts: list[str] = []
    # Of a bound system the one that is bound is meant.
    home = 2 if re.match(r"\s*BOUNDCRS\b", text, re.IGNORECASE) else 0
    for found in _TOKEN.finditer(text[:_LONGEST]):
        quoted, opened, closed, keyword, number = found.groups()
        if opened:
            within.append(word.upper())
        elif closed:
            if len(within) == home + 2 and within[-1] in ("ID", "AUTHORITY") and len(parts) > 1:
                code = code or f"{parts[0]}:{parts[1]}"
            if within:
                within.pop()
            if not within or (home and len(within) < home and name):
                break
        elif keyword:
            word, parts = keyword, []
        elif quoted is not None or number:
            value = number if quoted is None else quoted.replace('""', '"')
            parts.append(value)
            if quoted is not None and len(within) == home + 1 and not name:
                name = value
    return Named(name, code)
