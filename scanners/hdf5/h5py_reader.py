"""The oracle: values as h5py gives them, in the types of the reference set."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.scanners.hdf5.dataset import OpenDataset
from refmaker.scanners.hdf5.h5py_file import open_file, with_plugins
from refmaker.scanners.hdf5.types import ValueStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["H5pyReader", "open_native"]

_RENAMED = "_nc4_non_coord_"


class H5pyReader:
    """A file opened with h5py.

    Parameters
    ----------
    file : h5py.File
        The open file.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region.

        Parameters
        ----------
        path : str
            Path of the array in the reference set.
        array : Array
            What the reference set says of it.
        region : tuple of slice
            One slice of elements per dimension.

        Raises
        ------
        KeyError
            If the file has no such dataset.
        OSError
            If h5py cannot read it, for instance for want of a filter plugin.
        """
        dataset = self._open(path)
        identifier = dataset.id
        known = OpenDataset(identifier, path, 0)
        outer, inner = region[: len(dataset.shape)], region[len(dataset.shape) :]
        if known.element.form is ValueStorage.STRINGS:
            values = np.asarray(dataset[outer], object)
            return _each(values, _text)
        if known.element.form is ValueStorage.REFERENCES:
            values = np.asarray(dataset[outer], object)
            return _each(values, lambda ref: self._file[ref].name if ref else "")
        shape = tuple(part.stop - part.start for part in outer)
        out = np.zeros((*shape, *known.element.dims), array.dtype)
        if out.size:
            space = identifier.get_space()
            if shape:
                space.select_hyperslab(tuple(part.start for part in outer), shape)
            memory = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
            identifier.read(memory, space, out, known.memory_type)
        whole = tuple(slice(None) for _ in shape)
        return out[(*whole, *inner)]

    def _open(self, path: str) -> h5py.Dataset:
        parent, _, leaf = path.rpartition("/")
        group = self._file[parent] if parent else self._file
        if leaf not in group and f"{_RENAMED}{leaf}" in group:
            leaf = f"{_RENAMED}{leaf}"
        found = group[leaf]
        if not found.external:
            return found
        # While it is open in one way, HDF5 does not open it in another.
        del found
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        # By default HDF5 looks for external files in the working directory.
        access.set_efile_prefix(b"${ORIGIN}")
        return h5py.Dataset(h5py.h5d.open(group.id, leaf.encode(), access))


def _each(values: NDArray[Any], convert: Any) -> NDArray[Any]:
    out = np.empty(values.shape, object)
    for at in np.ndindex(values.shape):
        out[at] = convert(values[at])
    return out


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1")


@contextmanager
def open_native(source: Source) -> Iterator[H5pyReader]:
    """Open a file with h5py; see `H5pyReader`."""
    with_plugins()
    with open_file(source) as file:
        yield H5pyReader(file)
