"""JSON as one text: parsed with the place of what is wrong, and measured before it is."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

__all__ = ["STEP", "DamagedTextError", "loads", "nesting"]

STEP = np.zeros(256, np.int8)
"""How much deeper each byte leads, outside of strings."""
STEP[[0x5B, 0x7B]], STEP[[0x5D, 0x7D]] = 1, -1


class DamagedTextError(ValueError):
    """Text that is not JSON: why, and the byte where it is noticed."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(f"{why} at byte {place}")
        self.why = why
        self.place = place


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises
    ------
    DamagedTextError
        If it is not JSON.
    """
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise DamagedTextError("no UTF-8", error.start) from error
    try:
        return json.loads(decoded)
    except json.JSONDecodeError as error:
        raise DamagedTextError(error.msg, len(decoded[: error.pos].encode())) from error
    except (ValueError, RecursionError) as error:
        raise DamagedTextError(str(error), 0) from error


def nesting(text: bytes) -> int:
    """Return how deep the values of a JSON text nest; nothing is parsed."""
    if text.count(b"[") + text.count(b"{") <= 1:
        return text.count(b"[") + text.count(b"{")
    parts = re.sub(rb"\\.", b"", text, flags=re.DOTALL).split(b'"')
    bare = np.frombuffer(b"".join(parts[::2]), np.uint8)
    return int(np.cumsum(STEP[bare], dtype=np.int64).max(initial=0))
