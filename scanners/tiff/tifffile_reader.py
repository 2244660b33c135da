"""TIFF files in the hands of tifffile: the oracle of ``verify``."""

from __future__ import annotations

import math
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError, UnsupportedError
from refmaker.model.report import ScanReport
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanners.tiff.pages import PageArray, Pages

__all__ = ["open_native"]

_KEPT = 4
"""Decoded pages kept for the next question."""


@contextmanager
def open_native(source: Source, scanner: Any) -> Iterator[TifffileReader]:
    """Open a file, and those that belong to it, with tifffile.

    Parameters
    ----------
    source : Source
        The file.
    scanner : TIFFScanner
        Tells which pages an array came from; what they hold is tifffile's word.

    Raises
    ------
    MissingDependencyError
        If tifffile is not installed.
    FormatError
        If tifffile does not open the file.
    """
    with ExitStack() as stack:
        native = TifffileReader(source, scanner, stack)
        native.known("auto")
        yield native


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A reference set of the file: its arrays, the pages they were made of, and how."""

    arrays: Mapping[str, Array]
    pages: Pages
    placed: Mapping[str, PageArray]


class TifffileReader:
    """Arrays of a reference set, as tifffile reads them.

    Parameters
    ----------
    source : Source
        The file.
    scanner : TIFFScanner
        Its scanner.
    stack : ExitStack
        Closes the files.
    """

    def __init__(self, source: Source, scanner: Any, stack: ExitStack) -> None:
        self._source, self._scanner, self._stack = source, scanner, stack
        self._known: dict[str, _Known] = {}
        self._files: dict[str, Any] = {}
        self._decoded: dict[tuple[str, int], NDArray[Any]] = {}

    def known(self, layout: str) -> _Known:
        """Return the reference set in one of the layouts that users may choose."""
        if layout not in self._known:
            report = ScanReport(self._source.url, format=self._scanner.name)
            chosen = {"layout": layout, "missing-files": "fill", "damaged-pages": "absent"}
            options = ScanOptions(settings=chosen)
            group, pages = self._scanner.scan_pages(self._source, options, report)
            for part in pages.sources:
                self._open(part)
            arrays = dict(group.arrays())
            placed = {id(item.chunks): item for item in pages.placed}
            found = {
                path: placed[id(array.chunks)]
                for path, array in arrays.items()
                if id(array.chunks) in placed
            }
            self._known[layout] = _Known(arrays, pages, found)
        return self._known[layout]

    def _open(self, part: Source) -> None:
        try:
            import tifffile
        except ImportError as error:
            raise MissingDependencyError(
                "reading TIFF files natively needs tifffile", hint="pip install tifffile"
            ) from error
        if part.url in self._files:
            return
        place: Any = part.path if part.path is not None else part.open()
        try:
            file = tifffile.TiffFile(place)
        except Exception as error:  # whatever damage makes it raise
            raise FormatError(f"tifffile refuses it: {error}", url=part.url) from error
        self._files[part.url] = self._stack.enter_context(file)

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in its dtype.

        Parameters
        ----------
        path : str
            Of the array in the reference set.
        array : Array
            What the reference set says of it.
        region : tuple of slice
            One slice of elements for each dimension.

        Raises
        ------
        UnsupportedError
            If tifffile does not decode the page.
        """
        name = path.strip("/")
        for layout in ("auto", "ngff", "native"):
            known = self.known(layout)
            own = known.arrays.get(name)
            same = own is not None and own.shape == array.shape
            if own is None or not same or own.dimension_names != array.dimension_names:
                continue
            if name not in known.placed:
                return _inline(own)[region]
            item = known.placed[name]
            if item.following:
                return self._following(known.pages, item, array, region)
            return self._stacked(known.pages, item, array, region)
        raise UnsupportedError("no layout of the file has such an array", code="native")

    def _stacked(
        self, pages: Pages, item: PageArray, array: Array, region: tuple[slice, ...]
    ) -> NDArray[Any]:
        """Return a region of pages that are stacked."""
        rank, axis = len(item.prefix), item.sample_axis
        extents = [range(part.start, part.stop) for part in region]
        # One pixel's samples last, whatever the order of the result.
        last = range(1) if axis is None or item.merged else extents.pop(axis)
        lead, (rows, columns) = extents[:rank], extents[rank:]
        shape = (*(len(span) for span in extents), len(last))
        found = np.full(shape, array.fill_value or 0, array.dtype.newbyteorder("="))
        for place in np.ndindex(*shape[:rank]):
            at = [span[i] for span, i in zip(lead, place, strict=True)]
            samples = slice(last.start, last.stop)
            if axis is not None and item.merged:
                at[axis], sample = divmod(at[axis], array.shape[axis] // item.prefix[axis])
                samples = slice(sample, sample + 1)
            number = int(np.ravel_multi_index(tuple(at), item.prefix)) if at else 0
            page = int(item.numbers[number])
            if page >= 0:
                values = self._page(pages, page)
                found[place] = values[rows.start : rows.stop, columns.start : columns.stop, samples]
        one = axis is None or item.merged
        found = found[..., 0] if one else np.moveaxis(found, -1, int(axis or 0))
        return found.astype(array.dtype, copy=False)

    def _page(self, pages: Pages, page: int) -> NDArray[Any]:
        """Return a decoded page, shape (length, width, samples)."""
        key = pages.urls[int(pages.file[page])], int(pages.offset[page])
        if key not in self._decoded:
            values = self._decode(pages, page)
            while len(self._decoded) >= _KEPT:
                del self._decoded[next(iter(self._decoded))]
            shape = (int(pages.length[page]), int(pages.width[page]), -1)
            self._decoded[key] = values.reshape(shape)
        return self._decoded[key]

    def _decode(self, pages: Pages, page: int) -> NDArray[Any]:
        """Return a page as tifffile decodes it, or GDAL where that cannot; samples last."""
        from tifffile import TiffPage

        file = self._files[pages.urls[int(pages.file[page])]]
        file.filehandle.seek(int(pages.offset[page]))
        # Its decoders are kept by what pages have in common, which leaves out T4Options.
        getattr(file, "_decoders", {}).clear()
        try:
            values = np.asarray(TiffPage(file, 0).asarray())
        except Exception as error:  # whatever a decoder raises, there are others
            other = self._by_gdal(pages, page)
            if other is None:
                raise UnsupportedError(
                    f"tifffile does not decode {pages.path(page)}: {error}", code="native"
                ) from error
            return other
        if int(pages.planar[page]) == 2 and int(pages.samples[page]) > 1:
            return np.moveaxis(values, 0, -1)
        return values

    def _by_gdal(self, pages: Pages, page: int) -> NDArray[Any] | None:
        """Return a page of a local file as GDAL decodes it; None if it does not."""
        path = pages.sources[int(pages.file[page])].path
        try:
            import rasterio
        except ImportError:
            return None
        name = f"GTIFF_DIR:off:{int(pages.offset[page])}:{path}"
        try:
            # It warns of images that lie nowhere on Earth.
            with warnings.catch_warnings(action="ignore"), rasterio.open(name) as file:
                return np.moveaxis(np.asarray(file.read()), 0, -1)
        except Exception:  # noqa: BLE001 - then there is no oracle
            return None

    def _following(
        self, pages: Pages, item: PageArray, array: Array, region: tuple[slice, ...]
    ) -> NDArray[Any]:
        """Return a region of images that follow the first page's data, plane by plane."""
        rank, count = len(item.prefix), math.prod(item.prefix)
        # Several numbers are the planes in the array's order; one is the page they follow.
        reordered = item.numbers.size > 1
        page = 0 if reordered else int(item.numbers[0])
        planes = (item.numbers if reordered else np.arange(count)).reshape(item.prefix)
        handle = self._files[pages.urls[int(pages.file[page])]].filehandle
        first = pages.tag(page, 324)
        first = pages.tag(page, 273) if first is None else first
        start = int(np.atleast_1d(first)[0]) + item.skip
        shape = array.shape[rank:]
        wanted = planes[region[:rank]]
        found = np.empty((*wanted.shape, *shape), array.dtype)
        for place in np.ndindex(*wanted.shape):
            handle.seek(start + int(wanted[place]) * math.prod(shape) * array.dtype.itemsize)
            found[place] = handle.read_array(array.dtype, math.prod(shape)).reshape(shape)
        return found[(*(slice(None),) * rank, *region[rank:])]


def _inline(array: Array) -> NDArray[Any]:
    """Return what was made while scanning, such as coordinates: there is nothing else to ask."""
    import numcodecs

    data = array.chunks.get(0)
    if array.chunks.size != 1 or not isinstance(data, bytes):
        raise UnsupportedError("it was not made of pages", code="native")
    values: Any = data
    for config in reversed(array.codecs):
        values = numcodecs.get_codec(dict(config)).decode(values)
    return np.frombuffer(values, array.dtype).reshape(array.chunk_shape)
