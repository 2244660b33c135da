"""Files that hold the same instance: exact copies count once, others are told apart aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.io.source import Source
from refmaker.scanners.dicom.tags import SOP_INSTANCE_UID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker.scanners.dicom.header import Header

__all__ = ["DUPLICATE", "distinct"]

DUPLICATE = "duplicate"
"""Code of the row of a file that is a copy of another one."""
_PAD = b" \0"
_WINDOW = 1 << 20


def distinct(
    headers: Sequence[Header],
    refuse: Callable[[Header, RefmakerError], None],
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[list[Header], list[str]]:
    """Return instances without copies, and what is odd about those that only look like copies.

    Parameters
    ----------
    headers : sequence of Header
        Instances with pixels; of several copies the first is kept.
    refuse : callable
        Called with each copy, and an error with the code ``duplicate`` that names the file of
        which it is one.
    storage_options : mapping, optional
        Passed to fsspec: what has one SOP Instance UID (PS3.3, C.12.1) and one header is a copy
        only if the pixel data are equal as well.

    Returns
    -------
    list of Header
        In the order given.
    list of str
        One line if there are files that claim one UID and differ.
    """
    uids = {header.elements.get(SOP_INSTANCE_UID) for header in headers}
    if len(uids) == len(headers):
        return list(headers), []
    known: dict[bytes, list[Header]] = {}
    kept, differ = [], 0
    for header in headers:
        uid = (header.raw(SOP_INSTANCE_UID) or b"").strip(_PAD)
        others = known.setdefault(uid, []) if uid else []
        same = next((other for other in others if _equal(other, header, storage_options)), None)
        if same is None:
            differ += bool(others)
            others.append(header)
            kept.append(header)
            continue
        name = same.url.rpartition("/")[2]
        message = f"a copy of {name}: the same SOP Instance UID, attributes and pixels"
        refuse(header, UnsupportedError(message, code=DUPLICATE, url=header.url))
    note = f"{differ} files claim the SOP Instance UID of another file and differ: all are kept"
    return kept, [note] if differ else []


def _equal(one: Header, other: Header, storage_options: Mapping[str, Any] | None) -> bool:
    """Tell whether two instances have equal elements and equal pixel data."""
    a, b = one.pixels, other.pixels
    if a is None or b is None or (a.tag, a.length) != (b.tag, b.length):
        return False
    if one.transfer_syntax != other.transfer_syntax or one.big != other.big:
        return False
    if _values(one) != _values(other):
        return False
    if one.deflated is not None:
        first, length = one.deflated, one.size - one.deflated
        start = other.deflated or 0
        if other.size - start != length:
            return False
    else:
        first, start = a.offset, b.offset
        length = one.size - first if a.length is None else min(a.length, one.size - first)
        if a.length is None and other.size - start != length:
            return False
    return _same_bytes((one.url, first), (other.url, start), length, storage_options)


def _values(header: Header) -> dict[int, bytes]:
    """Return the values of a data set without the file meta information, which writers renew."""
    return {
        tag: value.rstrip(_PAD) for tag, (_, value) in header.elements.items() if tag >> 16 != 2
    }


def _same_bytes(
    one: tuple[str, int],
    other: tuple[str, int],
    length: int,
    storage_options: Mapping[str, Any] | None,
) -> bool:
    try:
        with Source(one[0], storage_options) as a, Source(other[0], storage_options) as b:
            for at in range(0, length, _WINDOW):
                size = min(_WINDOW, length - at)
                if a.read_upto(one[1] + at, size) != b.read_upto(other[1] + at, size):
                    return False
    except RefmakerError:
        # What cannot be read is damaged, which is found out where it is referenced.
        return False
    return True
