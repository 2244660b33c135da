"""Index files beside GRIB files: NOAA's ``.idx`` and ECMWF's ``.index``.

They tell where messages begin, so that the headers of a remote file are fetched together
instead of one after the other. They go stale in practice, so they are verified: every offset
has to be that of a whole message, and what lies between listed messages is walked as well.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.grib.walk import MessageWalk

__all__ = ["offsets", "walk_file"]

_LARGEST = 64 * 1024**2
_LINE = re.compile(rb"(\d+)(?:\.\d+)?:(\d+):")
_SMALL = 16 * 1024**2
"""Remote files up to this size are fetched at once, sidecar or not."""


def walk_file(walk: MessageWalk, source: Source, use: str, report: ScanReport) -> None:
    """Walk a file, with the help of a sidecar where that saves something.

    Parameters
    ----------
    walk : MessageWalk
        The walk.
    source : Source
        The file.
    use : {"verify", "trust", "ignore"}
        ``verify`` uses a sidecar of a remote file as a list of places to look at, and walks
        whatever it leaves out; ``trust`` looks at the listed messages only, of local files too.
    report : ScanReport
        Is warned of sidecars that are wrong.
    """
    if use == "ignore" or (use == "verify" and (source.path is not None or source.size < _SMALL)):
        walk.all()
        return
    url, found = _sidecar(source)
    if not found:
        if use == "trust":
            report.warn("there is no sidecar to trust; the file was walked")
        walk.all()
        return
    inside = [offset for offset in found if offset < source.size]
    walk.listed(inside, between=use == "verify")
    wrong = len(walk.missed) + len(found) - len(inside)
    if wrong:
        report.warn(
            f"{url} does not belong to this file: no message begins at {wrong} of the "
            f"{len(found)} offsets it lists"
        )
    if walk.unlisted:
        report.warn(f"{url} does not list {walk.unlisted} messages of the file; they are here")


def _sidecar(source: Source) -> tuple[str, list[int]]:
    """Return the URL of a sidecar and the offsets it lists; none where there is none."""
    from refmaker.io.source import Source as Opened

    base, _, query = source.url.partition("?")
    if query:
        return "", []
    stem = re.sub(r"\.(grib2?|grb2?|gb2)$", "", base)
    for url in dict.fromkeys((f"{base}.idx", f"{base}.index", f"{stem}.index", f"{stem}.idx")):
        try:
            with Opened(url, source.storage_options) as sidecar:
                if sidecar.size > _LARGEST:
                    continue
                found = offsets(sidecar.read(0, sidecar.size))
        except (RefmakerError, OSError):
            # Not there, or not to be read: a sidecar is a help, never a need.
            continue
        if found:
            return url, found
    return "", []


def offsets(data: bytes) -> list[int]:
    """Return where messages begin according to a sidecar, ascending.

    Parameters
    ----------
    data : bytes
        Its content. What is neither of the two kinds, such as cfgrib's pickled index of the
        same ending, lists nothing.
    """
    lines = data.split(b"\n")
    if data[:1] == b"{":
        return _ecmwf(lines)
    found = set()
    for line in lines:
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            return []
        found.add(int(match[2]))
    return sorted(found)


def _ecmwf(lines: list[bytes]) -> list[int]:
    found = set()
    for line in lines:
        if not line.strip():
            continue
        try:
            offset = json.loads(line)["_offset"]
        except (ValueError, KeyError, TypeError):
            return []
        if not isinstance(offset, int) or offset < 0:
            return []
        found.add(offset)
    return sorted(found)
