"""Whether what came is what was asked for, of the file that was scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import SourceChangedError, SourceError, TruncatedError

if TYPE_CHECKING:
    from refmaker.model.report import Fingerprint

__all__ = ["MODES", "check_fingerprint", "check_length"]

MODES = ("off", "size", "full")
"""What is compared with the recorded fingerprint: nothing, the size, or also time and ETag."""


def check_length(got: int, start: int, stop: int, url: str) -> None:
    """Refuse a range that is shorter or longer than what was asked for.

    Raises
    ------
    TruncatedError, SourceError
    """
    if got < stop - start:
        raise TruncatedError(
            f"{got} bytes came of {stop - start}",
            url=url,
            offset=start,
            hint="the file became shorter since it was scanned, or the connection was cut",
        )
    if got > stop - start:
        raise SourceError(
            f"{got} bytes came instead of {stop - start}: byte ranges are ignored",
            url=url,
            offset=start,
            hint="use a server that supports byte ranges, or download the file",
        )


def check_fingerprint(known: Fingerprint | None, found: Fingerprint, mode: str, url: str) -> None:
    """Refuse a file that is not the one that was scanned.

    Parameters
    ----------
    known : Fingerprint, optional
        As recorded in the reference set.
    found : Fingerprint
        As it is now; fields that are not known are not compared.
    mode : {"off", "size", "full"}
        What to compare.
    url : str
        The file.

    Raises
    ------
    SourceChangedError
    """
    if known is None or mode == "off":
        return
    what = None
    if found.size != known.size:
        what = f"the file has {found.size} bytes, and had {known.size} when it was scanned"
    elif mode == "full":
        if known.etag and found.etag:
            weak = "W/" in (known.etag[:2], found.etag[:2])
            if not weak and known.etag != found.etag:
                what = f"the file's ETag is {found.etag}, and was {known.etag} when it was scanned"
        elif _later(known.mtime, found.mtime):
            what = "the file was modified after it was scanned"
    if what is not None:
        raise SourceChangedError(
            what, url=url, hint="scan it again, or open with `verify_sources='off'`"
        )


def _later(known: float | None, found: float | None) -> bool:
    # Some stores tell whole seconds only.
    return known is not None and found is not None and abs(known - found) >= 1
