"""Raster images by the HDF library's GR interface, which pyhdf does not pass on."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["ImageReader"]

_NAME: Final = 256
_PALETTE: Final = "_palette"


class ImageReader:
    """The images of a file.

    Parameters
    ----------
    library : ctypes.CDLL
        The HDF library.
    path : bytes
        The file.
    """

    def __init__(self, library: Any, path: bytes) -> None:
        self._library = library
        self._file = library.Hopen(path, 1, 0)
        self._images = library.GRstart(self._file)
        count, attributes = ctypes.c_int32(), ctypes.c_int32()
        found = self._images != -1 and library.GRfileinfo(
            self._images, ctypes.byref(count), ctypes.byref(attributes)
        )
        self.names = [self._about(index)[0] for index in range(count.value if found == 0 else 0)]

    def close(self) -> None:
        """Give the file back."""
        if self._images != -1:
            self._library.GRend(self._images)
        if self._file != -1:
            self._library.Hclose(self._file)

    def read(self, name: str, array: Array) -> NDArray[Any] | None:
        """Return an image or a palette; None if it is neither."""
        keys = [key_name(one) for one in self.names]
        if name in keys:
            return self._image(keys.index(name), array)
        if name.endswith(_PALETTE) and name.removesuffix(_PALETTE) in keys:
            return self._palette(keys.index(name.removesuffix(_PALETTE)), array)
        return None

    def _about(self, index: int) -> tuple[str, int, int, tuple[int, int]]:
        """Return name, components, number type and extents (x, y) of an image."""
        image = self._library.GRselect(self._images, index)
        name = ctypes.create_string_buffer(_NAME)
        count, kind, interlace, attributes = (ctypes.c_int32() for _ in range(4))
        extents = (ctypes.c_int32 * 2)()
        self._library.GRgetiminfo(
            image, name, ctypes.byref(count), ctypes.byref(kind), ctypes.byref(interlace),
            extents, ctypes.byref(attributes),
        )  # fmt: skip
        self._library.GRendaccess(image)
        return name.value.decode("latin-1"), count.value, kind.value, (extents[0], extents[1])

    def _image(self, index: int, array: Array) -> NDArray[Any]:
        _, count, _, (width, height) = self._about(index)
        values = np.empty((height, width, count), array.dtype.newbyteorder("="))
        image = self._library.GRselect(self._images, index)
        start, extents = (ctypes.c_int32 * 2)(0, 0), (ctypes.c_int32 * 2)(width, height)
        into = values.ctypes.data_as(ctypes.c_void_p)
        self._library.GRreqimageil(image, 0)
        done = self._library.GRreadimage(image, start, None, extents, into)
        self._library.GRendaccess(image)
        if done != 0:
            raise FormatError("the HDF library does not read the image", path=self.names[index])
        return values.reshape(array.shape).astype(array.dtype, copy=False)

    def _palette(self, index: int, array: Array) -> NDArray[Any]:
        image = self._library.GRselect(self._images, index)
        palette = self._library.GRgetlutid(image, 0)
        values = np.empty((256, 3), np.uint8)
        done = self._library.GRreadlut(palette, values.ctypes.data_as(ctypes.c_void_p))
        self._library.GRendaccess(image)
        if done != 0:
            raise FormatError("the HDF library does not read the palette", path=self.names[index])
        return values.astype(array.dtype, copy=False)
