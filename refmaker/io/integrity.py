"""Whether what came is what was asked for, of the file that was scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import LimitError, SourceChangedError

if TYPE_CHECKING:
    from refmaker.model.report import Fingerprint

__all__ = ["MODES", "check_fingerprint", "too_large"]

MODES = ("off", "size", "full")
"""What is compared with the recorded fingerprint.

Nothing; what comes with the bytes and means something (size and ETag of an answer, size and
time of a local file); or also what has to be asked for, and the times that servers tell."""


def too_large(size: object, url: str) -> LimitError:
    """Return the error that a file is larger than what is read as a whole."""
    return LimitError(f"referenced as a whole, the file has {size} bytes", url=url)


def check_fingerprint(
    known: Fingerprint | None, found: Fingerprint, mode: str, url: str, *, local: bool = False
) -> None:
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
    local : bool
        Whether it is a file of this machine, whose time of modification means something.

    Raises
    ------
    SourceChangedError
    """
    if known is None or mode == "off":
        return
    what = None
    if found.size != known.size:
        what = f"the file has {found.size} bytes, and had {known.size} when it was scanned"
    elif known.etag and found.etag:
        weak = "W/" in (known.etag[:2], found.etag[:2])
        if not weak and known.etag != found.etag:
            what = f"the file's ETag is {found.etag}, and was {known.etag} when it was scanned"
    elif (local or mode == "full") and _another(known.mtime, found.mtime):
        what = "the file was modified after it was scanned"
    if what is not None:
        raise SourceChangedError(what, url=url, hint="scan it again, or verify_sources='off'")


def _another(known: float | None, found: float | None) -> bool:
    if known is None or found is None:
        return False
    # Some stores, and archives that files were unpacked from, know whole seconds only.
    whole = known.is_integer() or found.is_integer()
    return abs(known - found) >= (1 if whole else 0.001)
