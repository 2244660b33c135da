"""One dataset as h5py describes it, before its chunks are looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.hdf5.filters import Filter, read_pipeline
from refmaker.scanners.hdf5.types import Element, element_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OpenDataset"]

_MAX_EXTENT = 2**62


@dataclass
class OpenDataset:
    """One dataset, opened.

    Parameters
    ----------
    id : h5py.h5d.DatasetID
        The open dataset.
    path : str
        Its first path in the file.
    address : int
        Address of its object header, relative to the file's base address.
    """

    id: Any
    path: str
    address: int

    @cached_property
    def plist(self) -> Any:
        """Creation properties."""
        return self.id.get_create_plist()

    @cached_property
    def type(self) -> Any:
        """The datatype in the file."""
        return self.id.get_type()

    @cached_property
    def element(self) -> Element:
        """How one element is expressed.

        Raises
        ------
        UnsupportedError
            If it cannot be.
        """
        return element_of(self.type)

    @cached_property
    def _space(self) -> Any:
        return self.id.get_space()

    @property
    def is_null(self) -> bool:
        """Whether the dataspace has no extent at all."""
        return bool(self._space.get_simple_extent_type() == h5py.h5s.NULL)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Extent of the dataspace."""
        shape = tuple(int(extent) for extent in self._space.get_simple_extent_dims())
        if math.prod(shape) > _MAX_EXTENT:
            raise UnsupportedError(f"{shape} elements cannot be numbered", code="too-large")
        return shape

    @cached_property
    def maxshape(self) -> tuple[int | None, ...]:
        """Largest extent; None where unlimited."""
        limits = self._space.get_simple_extent_dims(True)
        return tuple(None if n == h5py.h5s.UNLIMITED else int(n) for n in limits)

    @cached_property
    def layout(self) -> int:
        """Layout class, one of ``h5py.h5d.COMPACT``, ``CONTIGUOUS``, ``CHUNKED``, ``VIRTUAL``."""
        return int(self.plist.get_layout())

    @cached_property
    def pipeline(self) -> tuple[Filter, ...]:
        """Filters in storage order."""
        return read_pipeline(self.plist)

    @cached_property
    def chunk_shape(self) -> tuple[int, ...]:
        """Chunk shape of a chunked dataset."""
        return tuple(int(extent) for extent in self.plist.get_chunk())

    @property
    def zarr_shape(self) -> tuple[int, ...]:
        """Shape of the Zarr array: dimensions of an array type come last."""
        return (*self.shape, *self.element.dims)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.element.itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each dimension of a chunked dataset."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk_shape, strict=True))

    @cached_property
    def stored_fill(self) -> Any:
        """The value of elements that were never written, None where it is zero."""
        if self.plist.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
            return None
        if self.element.dtype.kind == "O":
            return None
        value = self.raw_fill()
        return None if not np.any(np.frombuffer(value.tobytes(), np.uint8)) else value[()]

    def raw_fill(self) -> NDArray[Any]:
        """Return the fill value as a 0-dimensional array of the element's dtype.

        Raises
        ------
        UnsupportedError
            If the elements are arrays, for which Zarr has no fill value.
        """
        if self.element.dims:
            raise UnsupportedError("a fill value of an array type", code="fill-value")
        value = np.zeros((), self.element.dtype)
        if self.element.dtype.names is not None or self.element.dtype.kind in "SVMm":
            raise UnsupportedError("a fill value of this type", code="fill-value")
        self.plist.get_fill_value(value)
        return value

    @property
    def memory_type(self) -> Any:
        """The type to read values in: the file's own, or what its codecs make of it."""
        if not self.element.codecs:
            # HDF5 copies elements as they are, gaps of compounds included.
            return self.type
        if self.type.get_class() in (h5py.h5t.STRING, h5py.h5t.COMPOUND):
            # Codecs load numcodecs, which most files do not need while they are scanned.
            from refmaker.codecs.hdf5_convert import null_padded

            return null_padded(self.type)
        if self.type.get_class() == h5py.h5t.BITFIELD:
            # From bit fields HDF5 converts to nothing but bit fields.
            order = "BE" if self.element.dtype.str[0] == ">" else "LE"
            return getattr(h5py.h5t, f"STD_B{8 * self.element.dtype.itemsize}{order}")
        return None

    def element_at(self, place: tuple[int, ...]) -> Any:
        """Return one element as HDF5 reads it, without conversion but of packed integers.

        Raises
        ------
        UnsupportedError
            If it is an array whose elements differ: no fill value says that.
        """
        out = np.zeros(self.element.dims, self.element.dtype)
        space = self.id.get_space()
        if place:
            space.select_hyperslab(place, (1,) * len(place))
        memory = h5py.h5s.create_simple((1,))
        self.id.read(memory, space, out, self.memory_type)
        flat = out.reshape(-1)
        if flat.tobytes() != flat[:1].tobytes() * flat.size:
            raise UnsupportedError("a fill value of an array type", code="fill-value")
        return flat[0]

    def read(self) -> NDArray[Any]:
        """Return all values in the element's dtype, without conversion but of packed integers.

        Raises
        ------
        OSError
            If the HDF5 library cannot read them, for instance for want of a filter.
        """
        out = np.zeros(self.zarr_shape, self.element.dtype)
        if out.size:
            self.id.read(h5py.h5s.ALL, h5py.h5s.ALL, out, self.memory_type)
        return out
