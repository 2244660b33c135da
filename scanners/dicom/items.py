"""Fragments of encapsulated pixel data: where each frame begins and ends.

Implements PS3.5, annex A.4, and the extended offset table of PS3.3, C.7.6.3. In this order the
first of these that is there and true decides: the extended offset table, the tiles of a dual
TIFF file, the basic offset table, as many fragments as frames, one frame, and fragments that
begin and end with the markers of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, TruncatedError
from refmaker.scanners.dicom.dual_personality import tile_table
from refmaker.scanners.dicom.pixels import is_told
from refmaker.scanners.dicom.tags import EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.pixel_bytes import PixelBytes

__all__ = ["FrameFragments", "locate"]

_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
"""JPEG and JPEG-LS, JPEG 2000 codestream, JP2 file."""
_STOP = b"\xff\xd9"
_LAST = 10
"""Bytes at the end of a fragment in which its end marker may stand, before padding."""
_ALL = 64
"""Items that are looked at where each look may be a request."""


@dataclass(frozen=True, slots=True)
class FrameFragments:
    """Where the frames of one instance lie.

    Parameters
    ----------
    offset, length : ndarray of int64, shape (frames,)
        Byte range of each frame's fragments, headers of items included.
    single : bool
        Whether each frame is known to be one fragment.
    warnings : tuple of str
        What is odd.
    """

    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    single: bool
    warnings: tuple[str, ...] = ()


def locate(header: Header, data: PixelBytes, frames: int) -> FrameFragments:
    """Find the frames of encapsulated pixel data.

    Parameters
    ----------
    header : Header
        The instance; its pixel data are encapsulated.
    data : PixelBytes
        The file.
    frames : int
        How many there are, 1 if the header does not tell and there is no offset table.

    Raises
    ------
    FormatError
        If fragments cannot be told apart, or hold more frames than anything tells; names how
        many there are.
    TruncatedError
        If the file ends inside the pixel data.
    """
    assert header.pixels is not None  # noqa: S101 - who asks has seen it
    at = header.pixels.offset
    if frames * 8 > data.size:
        raise TruncatedError(f"{frames} frames in a file of {data.size} bytes", offset=at)
    first, table = _basic_table(data, at)
    warnings: list[str] = []
    extended = _extended_table(header)
    for name, found in (("extended", extended), ("tiff", None), ("basic", table)):
        starts = found
        if name == "tiff" and header.tiff and frames > 1:
            starts = tile_table(data.source, first, frames)
            starts = None if starts is None else starts - first
        if starts is None or starts.size != frames:
            if found is not None and found.size:
                warnings.append(f"the {name} offset table has {found.size} entries")
            continue
        if starts.size == 1:
            continue
        try:
            return _from_starts(data, first + starts, tuple(warnings))
        except FormatError:
            warnings.append(f"the {name} offset table does not point to fragments")
    told = is_told(header)
    if not told and frames == 1 and table.size > 1:
        raise FormatError(f"NumberOfFrames is missing, and the offset table has {table.size}")
    return _from_items(data, first, frames, warnings, told=told)


def _basic_table(data: PixelBytes, at: int) -> tuple[int, NDArray[np.int64]]:
    """Return where fragments begin, and the entries of the basic offset table."""
    head = data.read(at, 8)
    length = int.from_bytes(head[4:], "little")
    if head[:4] != _ITEM or length % 4:
        raise FormatError("the pixel data do not begin with an offset table", offset=at)
    if at + 8 + length > data.size:
        raise TruncatedError("the file ends inside the offset table", offset=at)
    entries = np.frombuffer(data.read(at + 8, length), "<u4").astype(np.int64)
    return at + 8 + length, entries


def _extended_table(header: Header) -> NDArray[np.int64] | None:
    raw = header.raw(EXTENDED_OFFSET_TABLE)
    if not raw or len(raw) % 8 or not header.raw(EXTENDED_OFFSET_TABLE_LENGTHS):
        return None
    order = ">" if header.big else "<"
    entries = np.frombuffer(raw, f"{order}u8")
    # What no file is large enough for points nowhere.
    found: NDArray[np.int64] = np.minimum(entries, np.uint64(1 << 62)).astype(np.int64)
    return found


def _from_starts(
    data: PixelBytes, starts: NDArray[np.int64], warnings: tuple[str, ...]
) -> FrameFragments:
    """Take the frames that begin at these items, after looking whether they are items."""
    if starts[0] < 0 or int(starts.max()) + 8 > data.size or bool(np.any(np.diff(starts) <= 0)):
        raise FormatError("the offsets do not ascend inside the file")
    look = np.arange(starts.size)
    if not data.cheap and starts.size > _ALL:
        look = np.unique(np.linspace(0, starts.size - 1, 16).astype(np.int64))
    tags, lengths = _headers(data, starts[look])
    if not bool(np.all(tags)):
        raise FormatError("an offset does not point to an item")
    tail, _ = _walk(data, int(starts[-1]))
    ends = np.append(starts[1:], tail[-1, 1])
    exact = starts[look] + 8 + lengths == ends[look]
    if bool(np.all(exact)) and len(look) == starts.size:
        return FrameFragments(starts, ends - starts, single=True, warnings=warnings)
    if data.cheap:
        items, odd = _walk(data, int(starts[0]))
        if not bool(np.all(np.isin(starts, items[:, 0]))):
            raise FormatError("an offset does not point to an item")
        return FrameFragments(starts, ends - starts, single=False, warnings=(*warnings, *odd))
    return FrameFragments(starts, ends - starts, single=False, warnings=warnings)


def _headers(
    data: PixelBytes, starts: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return whether there are items at these places, and the lengths that they tell."""
    blocks = data.blocks(starts, 8)
    tags = blocks[:, :4].copy().view("<u4")[:, 0] == int.from_bytes(_ITEM, "little")
    lengths = blocks[:, 4:].copy().view("<u4")[:, 0].astype(np.int64)
    return tags, lengths


def _walk(data: PixelBytes, at: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return begin and end of each item from one on, shape (n, 2), and what is odd."""
    found: list[tuple[int, int]] = []
    warnings: tuple[str, ...] = ()
    size = data.size
    while True:
        if at == size:
            warnings = ("the pixel data have no delimiter",)
            break
        if at + 8 > size:
            raise TruncatedError("the file ends between fragments", offset=at)
        # Eight bytes that end a file behind a fragment are the delimiter, unless the file was
        # cut in the item behind it: not worth a request for every one of thousands of files.
        seen = at + 8 < size or len(found) != 1 or data.at_hand(at, 8)
        head = data.read(at, 8) if seen else _END
        if head[:4] == _END:
            break
        end = at + 8 + int.from_bytes(head[4:], "little")
        if head[:4] != _ITEM:
            raise FormatError("between fragments stands no item", offset=at)
        if end > size:
            raise TruncatedError("the file ends inside a fragment", offset=at)
        found.append((at, end))
        at = end
    if not found and at == size:
        raise TruncatedError("the file ends in front of the fragments", offset=at)
    if not found:
        raise FormatError("the pixel data have no fragment", offset=at)
    return np.array(found, np.int64), warnings


def _from_items(
    data: PixelBytes, first: int, frames: int, warnings: list[str], *, told: bool
) -> FrameFragments:
    """Tell frames apart by the number of fragments, or by the markers in them."""
    items, odd = _walk(data, first)
    notes = (*warnings, *odd)
    starts, ends = items[:, 0], items[:, 1]
    # Where a file was cut between two fragments, the rest must not pass for the whole.
    if odd and (warnings or len(items) != frames) and (frames > 1 or not _whole(data, items)):
        raise TruncatedError(
            f"the file ends behind {len(items)} fragments, without a delimiter",
            offset=int(ends[-1]),
        )
    if len(items) == frames:
        return FrameFragments(starts, ends - starts, single=True, warnings=notes)
    if frames == 1:
        images = len(_marked(data, items)) if data.cheap or not told else 0
        if images > 1 and not told:
            raise FormatError(
                f"NumberOfFrames is missing, and the fragments hold {images} images", offset=first
            )
        if images > 1:
            notes = (*notes, f"the fragments hold {images} images, NumberOfFrames is 1")
        last = ends[-1:]
        return FrameFragments(starts[:1], last - starts[:1], single=False, warnings=notes)
    if len(items) < frames:
        raise FormatError(f"{len(items)} fragments for {frames} frames", offset=first)
    begins = _marked(data, items)
    if len(begins) != frames:
        raise FormatError(
            f"{len(items)} fragments for {frames} frames, and markers of {len(begins)} images",
            offset=first,
            hint="the file has no offset table",
        )
    stops = np.append(ends[begins[1:] - 1], ends[-1])
    return FrameFragments(starts[begins], stops - starts[begins], single=False, warnings=notes)


def _whole(data: PixelBytes, items: NDArray[np.int64]) -> bool:
    """Tell whether the last of some fragments of one image ends it, if that can be seen."""
    body = items[:, 1] - items[:, 0] - 8
    if not _texts(data, items[:1, 0] + 8, body[:1], 8)[0].startswith(_STARTS):
        return True
    return _STOP in _texts(data, items[-1:, 1] - _LAST, body[-1:], _LAST)[0]


def _marked(data: PixelBytes, items: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fragments that begin an image, each behind one that ends an image."""
    starts, ends = items[:, 0], items[:, 1]
    body = ends - starts - 8
    heads = _texts(data, starts + 8, body, 8)
    tails = _texts(data, ends - _LAST, body, _LAST)
    begins = np.array([text.startswith(_STARTS) for text in heads], bool)
    stops = np.array([_STOP in text for text in tails], bool)
    fresh = begins.copy()
    fresh[1:] &= stops[:-1]
    # Without a beginning at the first and an end at the last fragment nothing is sure.
    if not fresh[0] or not stops[-1]:
        return np.empty(0, np.int64)
    return np.flatnonzero(fresh)


def _texts(
    data: PixelBytes, at: NDArray[np.int64], body: NDArray[np.int64], length: int
) -> list[bytes]:
    """Return some bytes of each fragment that is long enough to have them."""
    texts = [b""] * len(at)
    enough = np.flatnonzero(body >= length)
    blocks: Any = data.blocks(at[enough], length)
    for i, block in zip(enough.tolist(), blocks, strict=True):
        texts[i] = block.tobytes()
    return texts
