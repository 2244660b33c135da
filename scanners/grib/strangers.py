"""What is not GRIB, named for what it is: files of other kinds, and what lies between messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, UnknownFormatError, UnsupportedError
from refmaker.scanners.grib.declared import BZIP2, FORMAT, GZIP
from refmaker.scanning.protocol import appearance, choose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.grib.walk import Damage

__all__ = ["gaps_in_words", "nothing_found", "refuse_others"]

_BULLETIN = re.compile(rb"[A-Z]{4}\d{0,2} [A-Z]{4} \d{6}")
"""The abbreviated heading of a bulletin (WMO Manual on the GTS, part II)."""
_LOOKED_AT = 256
"""Bytes of a gap that are looked at."""


def refuse_others(head: bytes, url: str) -> None:
    """Refuse a file that is plainly of another kind.

    Parameters
    ----------
    head : bytes
        Its first bytes.

    Raises
    ------
    UnsupportedError
        If it is compressed as a whole, with code ``compressed``.
    FormatError
        If it is of another format that is known here.
    """
    tool = "gunzip" if head[:2] == GZIP else "bunzip2" if head[:3] == BZIP2 else ""
    if tool:
        name = "gzip" if head[:2] == GZIP else "bzip2"
        raise UnsupportedError(
            f"the file is compressed with {name} as a whole, so that no message has a byte range",
            code="compressed",
            hint=f"decompress it ({tool}) and scan what comes out",
        )
    if FORMAT.sniff(head, url) > 0:
        return
    try:
        name = choose(head, url).name
    except UnknownFormatError:
        # A message may follow all the same, however much comes before it.
        return
    raise FormatError(
        f"not a GRIB file: its format is {name}", hint="scan files of different formats apart"
    )


def nothing_found(damages: Sequence[Damage], head: bytes) -> FormatError:
    """Return the error that says why there is no field in a file.

    Parameters
    ----------
    damages : sequence of Damage
        Messages that are not whole.
    head : bytes
        The file's first bytes.
    """
    for damage in damages:
        return FormatError(f"no whole message: {damage.reason}", offset=damage.offset)
    what = appearance(head) if head else "it is empty"
    return FormatError(
        f"no GRIB message in the file: {what}",
        hint="GRIB files hold messages from 'GRIB' to '7777'; a server's error page may have been "
        "saved in its place",
    )


def gaps_in_words(gaps: Sequence[tuple[int, int]], most: int, source: Source) -> Iterator[str]:
    """Yield warnings of what belongs to no message.

    Parameters
    ----------
    gaps : sequence of (int, int)
        Offset and length of each.
    most : int
        How many are named one by one.
    source : Source
        The file, to say what they are.
    """
    if len(gaps) <= most:
        for offset, length in gaps:
            what = _kind(source.read_upto(offset, min(length, _LOOKED_AT)))
            yield f"{length} bytes at byte {offset} belong to no message{what}"
        return
    total = sum(length for _, length in gaps)
    offset, length = gaps[0]
    what = _kind(source.read_upto(offset, min(length, _LOOKED_AT)))
    yield (
        f"{len(gaps)} pieces of {total} bytes in all belong to no message, the first at byte "
        f"{offset}{what}"
    )


def _kind(data: bytes) -> str:
    """Say what bytes between messages are, where that can be seen."""
    if not data.strip(b"\0"):
        return ": padding"
    if _BULLETIN.search(data[:80]):
        return ": the heading of a bulletin"
    if data[:4] == b"7777":
        return ": the end of a message whose beginning is missing"
    what = appearance(data)
    return "" if what.endswith("text") else f": {what}"
