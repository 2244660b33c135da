"""A look at some segments while scanning: whether they decode to the bytes that they should.

Too many bytes are cut, as by libtiff, by a step that is only there where it is needed. What no
segment that was looked at can be decoded of is refused by name, so that "referenced" means
readable. Bounded: few segments, and of each no more than is expected and one byte.
"""

from __future__ import annotations

import base64
import math
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.codestream import describe
from refmaker.errors import CodecError, MissingDependencyError, RefmakerError, UnsupportedError
from refmaker.scanners.tiff.bounded_decoders import BOUNDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.codecs import ChunkCodecs
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanners.tiff.segments import Segments

__all__ = ["probed"]

_DECODED = 4 * 1024**2
"""Bytes decoded of one file, unless all are to be; a first segment of any size up to `_LARGE`."""
_LARGE = 64 * 1024**2
_SEGMENTS = 16
"""Segments of one array that are looked at."""
_REMOTE = 1 << 18
"""Bytes of the one segment of a remote file that is fetched for this."""
_HEADERLESS = frozenset({"imagecodecs_jpegxl", "imagecodecs_jpegxr"})
"""Codecs of images whose size nothing here reads before they are decoded."""
_GROUP4 = "imagecodecs_ccittfax4"
_FAULTS = (
    RefmakerError, RuntimeError, ValueError, TypeError, OSError, EOFError, MemoryError, zlib.error,
)  # fmt: skip
"""What decoders raise."""


def probed(
    pages: Pages, numbers: NDArray[np.int64], code: ChunkCodecs, found: Segments, mode: str
) -> ChunkCodecs:
    """Return how segments are decoded, after a look at some of them.

    Parameters
    ----------
    numbers : ndarray of int64, shape (m,)
        Those that the segments are of; all of one kind.
    code : ChunkCodecs
        How they should be decoded.
    mode : {"auto", "all", "none"}
        How many to look at.

    Returns
    -------
    ChunkCodecs
        With a step that cuts what is too much, if that was seen.

    Raises
    ------
    UnsupportedError
        If no segment that was looked at can be decoded.
    """
    facts = pages.facts(int(numbers[0]))
    steps = code.steps[: max(code.ragged, 0)]
    if mode == "none" or facts.stored or not steps or steps[-1]["id"] in _HEADERLESS:
        return code
    tail = facts.length % facts.chunk_length
    last = found.length.shape[2] - 1
    faults: list[str] = []
    over, cut, low, tried = 0, False, False, 0
    for flat in _chosen(pages, numbers, code, found, mode):
        at = tuple(int(place) for place in np.unravel_index(flat, found.length.shape))
        whole = code.fills or (facts.tiled and steps[-1]["id"] not in BOUNDED)
        short = bool(tail) and at[2] == last and not whole
        expected = code.row_bytes * tail if short else code.segment_bytes
        page = int(numbers[at[0]])
        source = pages.sources[int(pages.file[page])]
        data = source.read(int(found.offset[at]), int(found.length[at]))
        tried += 1
        try:
            size = _decoded_bytes(data, steps, expected, code.segment_bytes)
        except (ImportError, MissingDependencyError):
            # Whoever reads it may have what is not installed here.
            return code
        except _FAULTS as error:
            told = " ".join(str(error).split()) or type(error).__name__
            faults.append(f"{_place(pages, page, at)}: {told}")
            continue
        if short and (size < code.segment_bytes or not facts.tiled):
            # Tiles may end with the image, too, though they should not.
            low |= facts.tiled
            over = max(over, min(size, code.segment_bytes) - expected)
        else:
            cut |= size > code.segment_bytes
    if faults and len(faults) == tried:
        raise UnsupportedError(
            f"{_count(tried)} cannot be decoded: {faults[0]}",
            code="undecodable",
            url=pages.urls[int(pages.file[numbers[0]])],
            path=pages.path(int(numbers[0])),
        )
    pages.warnings += [f"{fault}; it cannot be read" for fault in faults]
    if faults and steps[-1]["id"] == _GROUP4:
        # Of what is damaged its decoder makes white rows; this one raises.
        return code._replace(steps=(*steps[:-1], _checked(steps[-1]), *code.steps[len(steps) :]))
    if not (cut or over or low):
        return code
    rows = tail if tail and (low or not facts.tiled) else facts.chunk_length
    return code.padded(rows, over)._replace(fills=True)


def _checked(step: Mapping[str, Any]) -> dict[str, Any]:
    size = {"height": step["height"], "width": step["width"], "tail": step["height"]}
    return {"id": "refmaker.tiff_fax", "compression": 4, **size, "t4_options": 0}


def _count(tried: int) -> str:
    return "its only segment that was looked at" if tried == 1 else f"all {tried} segments tried"


def _place(pages: Pages, page: int, at: tuple[int, ...]) -> str:
    _, plane, row, column = at
    return f"{pages.path(page)}, segment in plane {plane}, row {row}, column {column}"


def _chosen(
    pages: Pages, numbers: NDArray[np.int64], code: ChunkCodecs, found: Segments, mode: str
) -> list[int]:
    """Return the flat numbers of the segments to look at."""
    written = np.flatnonzero(found.length.reshape(-1) > 0)
    if written.size == 0 or mode == "all":
        return [int(one) for one in written]
    if pages.sources[int(pages.file[numbers[0]])].path is None:
        first = int(written[0])
        near = int(found.length.reshape(-1)[first]) <= _REMOTE
        count = 1 if near and code.segment_bytes <= _LARGE else 0
    elif code.segment_bytes > _LARGE:
        count = 0
    else:
        left = max(_DECODED - pages.probed_bytes, 0)
        count = min(max(left // max(code.segment_bytes, 1), 1), _SEGMENTS, written.size)
    pages.probed_bytes += count * code.segment_bytes
    chosen = written[np.linspace(0, written.size - 1, count).astype(np.int64)]
    return [int(one) for one in np.unique(chosen)]


def _decoded_bytes(
    data: bytes, steps: tuple[Mapping[str, Any], ...], expected: int, full: int
) -> int:
    """Return how many bytes a segment has when decoded; many too many count as a few."""
    for step in steps[:-1]:
        data = bytes(_codec(step).decode(data))
    step = steps[-1]
    if step["id"] in BOUNDED:
        size = len(BOUNDED[str(step["id"])](data, max(full, expected) + 1))
    else:
        size = _image_bytes(data, step, full)
    if size < expected:
        raise CodecError(f"{size} bytes when decoded, expected {expected}")
    return size


def _image_bytes(data: bytes, step: Mapping[str, Any], full: int) -> int:
    """Return the bytes of a decoded image, whose own header is believed only so far."""
    told = describe(data)
    if told is not None:
        size = told.rows * told.columns * -(-told.precision // 8)
        if size > 4 * full:
            raise CodecError(f"an image of {told.columns} x {told.rows} pixels")
    if step["id"] == "imagecodecs_jpeg":
        tables = step["tables"]
        values = import_module("imagecodecs").jpeg8_decode(
            data,
            tables=base64.b64decode(tables) if tables else None,
            colorspace=step["colorspace_jpeg"],
            outcolorspace=step["colorspace_data"],
        )
    else:
        from refmaker.codecs.tiff_fax import is_whole_group4

        if step["id"] == _GROUP4 and not is_whole_group4(data, step["height"], step["width"]):
            raise CodecError(
                "Group 4 data that are damaged, or not understood by imagecodecs (libtiff's "
                "`tiffcp -c lzw` may write what can be read)"
            )
        values = _codec(step).decode(data)
    values = np.asarray(values)
    return math.prod(values.shape) * values.itemsize


def _codec(config: Mapping[str, Any]) -> Any:
    return import_module("numcodecs").get_codec(dict(config))
