"""Pages decoded by tifffile, or by GDAL where tifffile is known to be wrong or does not."""

from __future__ import annotations

import math
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.native_images import NativeImage

__all__ = ["PageDecoder"]

_KEPT = 4
"""Decoded planes kept for the next question."""
_LERC = 34887
_FAX = frozenset({2, 3, 4})
_FLOAT = 3
_DEFLATE = frozenset({8, 32946, 50013})
_IN_MEMORY = 256 * 1024**2
"""Bytes of a file that is nowhere on disk up to which GDAL is given a copy."""


class PageDecoder:
    """Decodes the planes of images, and keeps the last few."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._decoded: dict[tuple[int, int, int], NDArray[Any]] = {}
        self._copies: dict[int, Any] = {}

    def plane(self, image: NativeImage, number: int) -> NDArray[Any] | None:
        """Return a plane, shape (rows, columns, samples); None if there is none.

        Raises
        ------
        UnsupportedError
            If nothing here decodes it.
        """
        page = image.page(number)
        if image.plain is not None:
            key = id(image.plain.handle), image.plain.offset, number
        elif page is None:
            return None
        else:
            key = id(page.parent.filehandle), page.offset, page.dataoffsets[0]
        if key not in self._decoded:
            values = self._page(page) if image.plain is None else _plain(image, number)
            while len(self._decoded) >= _KEPT:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[key] = values
        return self._decoded[key]

    def _page(self, page: Any) -> NDArray[Any]:
        """Return a page as tifffile decodes it, or GDAL; samples last."""
        handle = page.parent.filehandle
        if handle.closed:
            handle.open()
            self._stack.callback(handle.close)
        from tifffile import TiffPage

        page = _whole(page)
        if page.compression == _LERC and _masked(page.keyframe):
            # tifffile leaves out LERC's mask of valid pixels.
            values = self._by_gdal(page)
            if values is None:
                raise UnsupportedError(
                    "masks of LERC are for GDAL to read (pip install rasterio)", code="native"
                )
            return values
        if page.compression in _FAX:
            # tifffile's decoders make white rows of what is damaged.
            values = self._by_gdal(page)
            if values is not None:
                return values
        if isinstance(page, TiffPage):
            _counted(page)
        # Its decoders are kept by what pages have in common, which leaves out T4Options.
        getattr(page.parent.root, "_decoders", {}).clear()
        try:
            cut = _cut(page) if page.compression in _DEFLATE else None
            values = np.asarray(page.asarray()) if cut is None else _assembled(page, cut)
            return _samples_last(page, values)
        except Exception as error:  # whatever a decoder raises, there are others
            other = self._by_gdal(page)
            if other is None:
                raise UnsupportedError(
                    f"tifffile does not decode page {page.index}: {error}", code="native"
                ) from error
            return other

    def _by_gdal(self, page: Any) -> NDArray[Any] | None:
        """Return a page as GDAL decodes it, samples last; None if it does not."""
        try:
            import rasterio
        except ImportError:
            return None
        path = self._gdal_path(page.parent.filehandle)
        if path is None:
            return None
        name = f"GTIFF_DIR:off:{page.offset}:{path}"
        try:
            # It warns of images that lie nowhere on Earth.
            with warnings.catch_warnings(action="ignore"), rasterio.open(name) as file:
                return np.moveaxis(np.asarray(file.read()), 0, -1)
        except Exception:  # noqa: BLE001 - then there is no oracle
            return None

    def _gdal_path(self, handle: Any) -> str | None:
        if handle.is_file and handle.path:
            return str(handle.path)
        if handle.size > _IN_MEMORY:
            return None
        if id(handle) not in self._copies:
            from rasterio.io import MemoryFile

            handle.seek(0)
            copy = self._stack.enter_context(MemoryFile(handle.read(handle.size)))
            self._copies[id(handle)] = copy
        return str(self._copies[id(handle)].name)


def _whole(page: Any) -> Any:
    """Return a page with tags of its own, where tifffile has but what differs from its like."""
    from tifffile import TiffFrame, TiffPage

    if not isinstance(page, TiffFrame) or page.parent.is_lsm or not page.offset:
        # What is made up from an index has data, but no directory.
        return page
    page.parent.filehandle.seek(page.offset)
    return TiffPage(page.parent, page.index)


def _cut(page: Any) -> list[bytes] | None:
    """Return segments of deflate without what is too much; None if nothing is.

    The decoders of tifffile and of GDAL refuse such, or give other last bytes.
    """
    keyframe = page.keyframe
    tiled, bits = keyframe.is_tiled, keyframe.bitspersample
    rows = keyframe.tilelength if tiled else keyframe.rowsperstrip
    columns = keyframe.tilewidth if tiled else keyframe.imagewidth
    if not isinstance(bits, int) or rows < 1:
        return None
    samples = 1 if keyframe.planarconfig == 2 else keyframe.samplesperpixel
    row = -(-columns * samples * bits // 8)
    strips = -(-keyframe.imagelength // rows)
    found, long = [], False
    for at, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        last = not tiled and at % strips == strips - 1
        most = row * (keyframe.imagelength - rows * (strips - 1) if last else rows)
        page.parent.filehandle.seek(offset)
        stream = zlib.decompressobj()
        try:
            plain = stream.decompress(page.parent.filehandle.read(count), most + 1)
        except zlib.error:
            return None
        long |= len(plain) > most
        found.append(zlib.compress(plain[:most]))
    return found if long else None


def _assembled(page: Any, segments: list[bytes]) -> NDArray[Any]:
    """Return a page of segments that are given, each as tifffile decodes it."""
    found = np.zeros(page.keyframe.shaped, page.dtype)
    for at, data in enumerate(segments):
        values, (s, d, h, w, _), _ = page.decode(data, at)
        place = found[s, d : d + values.shape[0], h : h + values.shape[1], w : w + values.shape[2]]
        place[...] = values[: place.shape[0], : place.shape[1], : place.shape[2]]
    return found


def _masked(page: Any) -> bool:
    return bool(page.samplesperpixel > 1 or page.sampleformat == _FLOAT)


def _counted(page: Any) -> None:
    """Give a page of one segment the byte count that it needs, as libtiff does."""
    if len(page.dataoffsets) != 1 or page.dataoffsets[0] <= 0:
        return
    counts = tuple(page.databytecounts)
    needed = 1
    if page.compression == 1:
        samples = 1 if page.planarconfig == 2 else page.samplesperpixel
        bits = page.bitspersample if isinstance(page.bitspersample, int) else 8
        rows, columns = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (page.imagelength, page.imagewidth)
        )
        needed = rows * -(-columns * samples * bits // 8)
    if not counts or counts[0] < needed:
        left = page.parent.filehandle.size - page.dataoffsets[0]
        page.databytecounts = (needed if page.compression == 1 else left,)


def _samples_last(page: Any, values: NDArray[Any]) -> NDArray[Any]:
    page = page.keyframe or page
    length, width = int(page.imagelength), int(page.imagewidth)
    if int(page.planarconfig or 1) == 2 and page.samplesperpixel > 1:
        return np.moveaxis(values.reshape(-1, length, width), 0, -1)
    return values.reshape(length, width, -1)


def _plain(image: NativeImage, number: int) -> NDArray[Any]:
    """Return a plane of those that lie behind each other."""
    plain = image.plain
    assert plain is not None  # noqa: S101 - asked for only there
    count = math.prod(plain.shape)
    plain.handle.seek(plain.offset + number * count * plain.dtype.itemsize)
    values = np.asarray(plain.handle.read_array(plain.dtype, count)).reshape(plain.shape)
    return _samples_last(image.keyframe, values)
