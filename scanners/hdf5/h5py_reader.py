"""The oracle: values as h5py gives them, in the types of the reference set."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import MissingDependencyError
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
        outer, inner = region[: len(dataset.shape)], region[len(dataset.shape) :]
        there = tuple(
            slice(min(part.start, extent), min(part.stop, extent))
            for part, extent in zip(outer, dataset.shape, strict=True)
        )
        values = self._values(dataset, array.dtype, there)
        wanted = tuple(part.stop - part.start for part in outer)
        if values.shape[: len(wanted)] != wanted:
            # In netCDF it is as long as its dimensions, and has fill values where it ends.
            longer = np.full(
                (*wanted, *values.shape[len(wanted) :]), _behind(dataset, values.dtype)
            )
            longer[tuple(slice(n) for n in values.shape)] = values
            values = longer
        return values[(*(slice(None) for _ in outer), *inner)]

    def _values(
        self, dataset: h5py.Dataset, dtype: np.dtype[Any], region: tuple[slice, ...]
    ) -> NDArray[Any]:
        known = OpenDataset(dataset.id, dataset.name, 0)
        if known.element.form is ValueStorage.STRINGS:
            return _each(np.asarray(dataset[region], object), _text)
        if known.element.form is ValueStorage.REFERENCES:
            values = np.asarray(dataset[region], object)
            return _each(values, lambda ref: self._file[ref].name if ref else "")
        shape = tuple(part.stop - part.start for part in region)
        out = np.zeros((*shape, *known.element.dims), dtype)
        if out.size:
            space = dataset.id.get_space()
            if shape:
                space.select_hyperslab(tuple(part.start for part in region), shape)
            memory = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
            dataset.id.read(memory, space, out, known.memory_type)
        return out

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


def _behind(dataset: h5py.Dataset, dtype: np.dtype[Any]) -> Any:
    """Return what netCDF reads behind the end of a dataset."""
    if dtype.kind == "O":
        return ""
    defined = dataset.id.get_create_plist().fill_value_defined()
    if dtype.kind == "S" or defined == h5py.h5d.FILL_VALUE_USER_DEFINED:
        return np.asarray(dataset.fillvalue if dtype.kind != "S" else b"", dtype)
    try:
        from netCDF4 import default_fillvals
    except ImportError as error:
        raise MissingDependencyError(
            "what lies behind the end of a variable is compared with the netCDF library",
            hint="pip install netCDF4",
        ) from error
    return np.array(default_fillvals[dtype.str[1:]], dtype)


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
