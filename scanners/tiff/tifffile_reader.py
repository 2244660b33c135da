"""TIFF files in the hands of tifffile: the oracle of ``verify``.

Which page is which plane is the word of tifffile's series, or of a second reading of the
file's metadata; never that of the scanner. Pages that neither of them models are known by
where a chunk lies, and have to follow one another as in the file. What was made while scanning,
such as coordinates, is made again from the source.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.tiff.native_files import NativeFiles
from refmaker.scanners.tiff.native_pages import PageDecoder
from refmaker.scanners.tiff.native_places import image_by_place
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanners.tiff.native_images import NativeImage
    from refmaker.scanning.protocol import Scanner

__all__ = ["TifffileReader", "open_native"]


@contextmanager
def open_native(source: Source, scanner: Scanner) -> Iterator[TifffileReader]:
    """Open a file, and those that belong to it, with tifffile.

    Raises
    ------
    MissingDependencyError
        If tifffile is not installed.
    FormatError
        If tifffile does not open the file.
    """
    log = logging.getLogger("tifffile")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    with ExitStack() as stack:
        yield TifffileReader(source, scanner, stack)


class TifffileReader:
    """Arrays of a reference set, as tifffile reads them."""

    def __init__(self, source: Source, scanner: Scanner, stack: ExitStack) -> None:
        self._source, self._scanner = source, scanner
        self._files = NativeFiles(source, stack)
        self._decoder = PageDecoder(stack)
        self._made: dict[str, Group] = {}
        self._known: dict[str, tuple[Array, NativeImage]] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in its dtype.

        Raises
        ------
        UnsupportedError
            If tifffile does not decode the page, or nothing says which page it is.
        """
        name = path.strip("/")
        if name.rpartition("/")[2] not in ("image", "mask"):
            return self._made_again(name, array)[region]
        return self._region(self._image(name, array), array, region).astype(array.dtype, copy=False)

    def _image(self, name: str, array: Array) -> NativeImage:
        known = self._known.get(name)
        if known is not None and known[0] is array:
            return known[1]
        image = self._files.image(name, array) or image_by_place(self._files, array)
        if image is None:
            raise UnsupportedError("nothing but the scanner says which pages it is", code="native")
        self._known[name] = array, image
        return image

    def _region(self, image: NativeImage, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        names = array.dimension_names or ()
        lead = tuple(at for at, name in enumerate(names) if name not in "yx")
        rows, columns = (region[names.index(name)] for name in "yx")
        lead_names = tuple(names[at] for at in lead)
        lead_shape = tuple(array.shape[at] for at in lead)
        spans = [range(region[at].start, region[at].stop) for at in lead]
        shape = (
            *(len(span) for span in spans),
            rows.stop - rows.start,
            columns.stop - columns.start,
        )
        found = np.full(shape, array.fill_value or 0, array.dtype.newbyteorder("="))
        for place in np.ndindex(*shape[: len(lead)]):
            at = tuple(span[i] for span, i in zip(spans, place, strict=True))
            plane, sample = image.place(lead_names, lead_shape, at)
            values = self._decoder.plane(image, plane)
            if values is not None:
                found[place] = values[rows, columns, sample or 0]
        order = [*lead, names.index("y"), names.index("x")]
        return np.moveaxis(found, range(len(order)), order)

    def _made_again(self, name: str, array: Array) -> NDArray[Any]:
        """Return what was made while scanning, such as coordinates, from a scan of its own."""
        for layout in ("auto", "ngff", "native"):
            own = dict(self._scanned(layout).arrays()).get(name)
            same = own is not None and own.shape == array.shape
            if own is not None and same and own.dimension_names == array.dimension_names:
                return _inline(own)
        raise UnsupportedError("no layout of the file has such an array", code="native")

    def _scanned(self, layout: str) -> Group:
        if layout not in self._made:
            chosen = {
                "tiff-axes": layout,
                "missing-files": "fill",
                "damaged-pages": "absent",
                "probe": "none",
            }
            options = ScanOptions(settings=chosen)
            self._made[layout] = self._scanner.scan(self._source, options)[0]
        return self._made[layout]


def _inline(array: Array) -> NDArray[Any]:
    """Return the values of an array that is kept in the reference set."""
    import numcodecs

    data = array.chunks.get(0)
    if array.chunks.size != 1 or not isinstance(data, bytes):
        raise UnsupportedError("it was not made of pages", code="native")
    values: Any = data
    for config in reversed(array.codecs):
        values = numcodecs.get_codec(dict(config)).decode(values)
    return np.frombuffer(values, array.dtype).reshape(array.chunk_shape)
