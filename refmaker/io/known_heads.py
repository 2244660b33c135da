"""First bytes of remote files that were read a moment ago, so that nobody asks for them again.

To tell the format of files their beginnings are read; what then scans them needs the same
bytes. They travel with the storage options, as a policy does, through scanners and workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.errors import RefmakerError
    from refmaker.model.report import Fingerprint

__all__ = ["HEADS", "FirstBytes", "head_of", "with_heads"]

HEADS = "refmaker.heads"
"""The storage option."""


class FirstBytes(NamedTuple):
    """The first bytes of one file, or those from some place on, or why they could not be read.

    Parameters
    ----------
    url : str
        The absolute path or the URL, as it goes into references.
    data : bytes
        The bytes; all that there are of a short file.
    fingerprint : Fingerprint, optional
        The file as it was when they were read; None after a failure.
    error : RefmakerError, optional
        What went wrong.
    """

    url: str
    data: bytes
    fingerprint: Fingerprint | None
    error: RefmakerError | None = None


def with_heads(
    storage_options: Mapping[str, Any] | None, heads: Iterable[FirstBytes]
) -> Mapping[str, Any] | None:
    """Return storage options under which files are not asked again for their first bytes.

    Parameters
    ----------
    storage_options : mapping, optional
        Those by which the files were read, to be used for these files at once and no longer.
    heads : iterable of FirstBytes
        What was read; those of files that could not be read do not count.
    """
    known = dict((storage_options or {}).get(HEADS) or {})
    known |= {head.url: head for head in heads if head.fingerprint is not None}
    return {**(storage_options or {}), HEADS: known} if known else storage_options


def head_of(url: str, storage_options: Mapping[str, Any] | None) -> FirstBytes | None:
    """Return the first bytes of a file, if they are at hand."""
    known = (storage_options or {}).get(HEADS)
    return None if known is None else known.get(url)
