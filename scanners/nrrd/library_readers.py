"""NRRD files as pynrrd reads them, or teem in SimpleITK, to compare with."""

from __future__ import annotations

import io
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError
from refmaker.io.related_files import RelatedFiles
from refmaker.scanners.nrrd.header import AXIS, read_header
from refmaker.scanning.raw_data import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["open_nrrd"]

_TURNED = {
    "right-anterior-superior": (0, 1), "ras": (0, 1), "left-anterior-superior": (1,), "las": (1,),
}  # fmt: skip
"""Axes of space along which ITK counts in the other direction."""


@contextmanager
def open_nrrd(source: Source) -> Iterator[LibraryReader]:
    """Open a file with pynrrd; with SimpleITK if its data are hexadecimal or in several files.

    Parameters
    ----------
    source : Source
        The file or the header; SimpleITK opens local ones alone.

    Raises
    ------
    MissingDependencyError
        If the library is not installed.
    FormatError
        If it does not open the file.
    """
    told = read_header(source)
    name = told.fields.get("datafile", "")
    if told.encoding == "hex" or "%" in name or name.startswith("LIST"):
        yield _SimpleITKReader(source, told.fields.get("space", ""))
        return
    nrrd = library("nrrd", "pynrrd", "to read NRRD natively")
    with ExitStack() as stack:
        file = _opened(source, stack)
        try:
            header = nrrd.read_header(file)
            other = header.pop("data file", None) or header.pop("datafile", None)
            if other is not None:
                files = stack.enter_context(RelatedFiles(source, anywhere=True))
                file = _opened(files.open(other), stack)
            values = nrrd.read_data(header, file, index_order="C")
        except (nrrd.NRRDError, ValueError, KeyError, OSError, EOFError, zlib.error) as error:
            raise FormatError(f"pynrrd refuses it: {error}", url=source.url) from error
        yield _PynrrdReader(header, values)


def _opened(source: Source, stack: ExitStack) -> Any:
    """Return a file as pynrrd wants it."""
    if source.path is None:
        return io.BytesIO(source.read(0, source.size))
    return stack.enter_context(io.FileIO(source.path))


class _PynrrdReader:
    """An array that pynrrd has read."""

    def __init__(self, header: Any, values: Any) -> None:
        self._header = header
        self._values = values

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region, or a coordinate from pynrrd's directions."""
        if path.strip("/") == DATA:
            return np.asarray(self._values[region], array.dtype)
        vector = np.asarray(self._header["space directions"][array.attributes[AXIS]])
        along = int(np.flatnonzero(vector)[0])
        values = self._header["space origin"][along] + np.arange(array.shape[0]) * vector[along]
        return np.asarray(values[region])


class _SimpleITKReader:
    """An array that teem has read, by way of SimpleITK."""

    def __init__(self, source: Source, space: str) -> None:
        # ITK's axes point left and posterior whatever the file says.
        self._turned = _TURNED.get(space.lower(), ())
        itk = library("SimpleITK", purpose="to read NRRD of several files or of text natively")
        if source.path is None:
            raise FormatError("SimpleITK opens local files alone", url=source.url)
        try:
            self._image = itk.ReadImage(source.path, imageIO="NrrdImageIO")
        except RuntimeError as error:
            told = " ".join(str(error).split())
            raise FormatError(f"SimpleITK refuses it: {told}", url=source.url) from error
        self._values = itk.GetArrayFromImage(self._image)

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region, or a coordinate from ITK's origin and spacing."""
        if path.strip("/") == DATA:
            return np.asarray(self._values.reshape(array.shape)[region], array.dtype)
        axis, count = array.attributes[AXIS], self._image.GetDimension()
        along = axis - (len(self._values.shape) - count)
        step = self._image.GetSpacing()[along] * self._image.GetDirection()[along * (count + 1)]
        places = self._image.GetOrigin()[along] + np.arange(array.shape[0]) * step
        return np.asarray(places[region] * (-1 if along in self._turned else 1))
