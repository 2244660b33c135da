"""The oracle: values as h5py gives them, in the types of the reference set.

It shares nothing with the scanner: types, records and paths are those of h5py's own interface.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import MissingDependencyError
from refmaker.io.h5py_file import open_file, with_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["H5pyReader", "open_native"]

_RENAMED = "_nc4_non_coord_"


class H5pyReader:
    """A file opened with h5py."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region.

        Raises
        ------
        KeyError
            If the file has no such dataset.
        OSError
            If h5py cannot read it, for instance for want of a filter plugin.
        """
        dataset, columns = self._find(path)
        if columns:
            return self._column(dataset, columns)[region]
        outer, inner = region[: len(dataset.shape)], region[len(dataset.shape) :]
        there = tuple(
            slice(min(part.start, extent), min(part.stop, extent))
            for part, extent in zip(outer, dataset.shape, strict=True)
        )
        values = self._in_type(_values(dataset, there), array.dtype)
        wanted = tuple(part.stop - part.start for part in outer)
        if values.shape[: len(wanted)] != wanted:
            # In netCDF it is as long as its dimensions, and has fill values where it ends.
            shape = (*wanted, *values.shape[len(wanted) :])
            longer = np.full(shape, _behind(dataset, values.dtype), values.dtype)
            longer[tuple(slice(n) for n in values.shape)] = values
            values = longer
        whole = tuple(slice(None) for _ in outer)
        # A scalar stays an array: numpy's own scalars cut texts.
        return values[(*whole, *inner)] if inner else values

    def _in_type(self, values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return h5py's values in an array's type: records flattened, references as paths."""
        if values.dtype.kind == "O" or h5py.check_ref_dtype(values.dtype) is not None:
            return self._texts(values)
        if dtype.names is None or values.dtype.names is None:
            return values if values.dtype == dtype or dtype.kind == "O" else _exact(values, dtype)
        parts = dict(_fields(values))
        out = np.zeros(values.shape, dtype)
        for name in dtype.names:
            if name in parts:
                out[name] = parts[name]
        return out

    def _texts(self, values: NDArray[Any]) -> NDArray[Any]:
        out = np.empty(values.shape, object)
        for at in np.ndindex(values.shape):
            out[at] = self._text(values[at])
        return out

    def _text(self, value: Any) -> str:
        if isinstance(value, h5py.h5r.Reference):
            return str(self._file[value].name) if value else ""
        if isinstance(value, str):
            return value
        try:
            return bytes(value or b"").decode("utf-8")
        except UnicodeDecodeError:
            return bytes(value).decode("latin-1")

    def _column(self, dataset: h5py.Dataset, columns: list[str]) -> NDArray[Any]:
        """Return one column of values that stand outside of a dataset's chunks."""
        values = np.empty(dataset.shape, dataset.dtype)
        values[()] = dataset[()]
        for name in columns:
            if values.dtype.names is not None:
                values = values[name]
                continue
            rows = [np.asarray(row) for row in values.reshape(-1)]
            if name == "row_size":
                return np.array([len(row) for row in rows], np.int64).reshape(values.shape)
            values = np.concatenate(rows) if rows else np.empty(0)
        return self._texts(values) if values.dtype.kind == "O" else values

    def _find(self, path: str) -> tuple[h5py.Dataset, list[str]]:
        """Return a dataset, and what of the path leads into its records."""
        parts = path.split("/")
        for end in range(len(parts), 0, -1):
            found = self._open("/".join(parts[:end]))
            if isinstance(found, h5py.Dataset):
                return found, parts[end:]
        raise KeyError(path)

    def _open(self, path: str) -> Any:
        parent, _, leaf = path.rpartition("/")
        group = self._file.get(parent) if parent else self._file
        if not isinstance(group, h5py.Group):
            return None
        if leaf not in group and f"{_RENAMED}{leaf}" in group:
            leaf = f"{_RENAMED}{leaf}"
        found = group.get(leaf)
        if not isinstance(found, h5py.Dataset) or not found.external:
            return found
        # While it is open in one way, HDF5 does not open it in another.
        del found
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        # By default HDF5 looks for external files in the working directory.
        access.set_efile_prefix(b"${ORIGIN}")
        return h5py.Dataset(h5py.h5d.open(group.id, leaf.encode(), access))


def _values(dataset: h5py.Dataset, region: tuple[slice, ...]) -> NDArray[Any]:
    """Return a region's values in the type that h5py has for them."""
    kind = dataset.id.get_type()
    of = kind.get_class()
    if of not in (h5py.h5t.OPAQUE, h5py.h5t.BITFIELD):
        return np.asarray(dataset[region if dataset.shape else ()])
    # Between opaque types with tags and from bit fields HDF5 converts to nothing else.
    size = kind.get_size()
    memory, dtype = kind, np.dtype(f"V{size}")
    if of == h5py.h5t.BITFIELD:
        memory, dtype = getattr(h5py.h5t, f"NATIVE_B{8 * size}"), np.dtype(f"u{size}")
    shape = tuple(part.stop - part.start for part in region)
    out = np.zeros(shape, dtype)
    if out.size:
        space = dataset.id.get_space()
        if shape:
            space.select_hyperslab(tuple(part.start for part in region), shape)
        block = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
        dataset.id.read(block, space, out, memory)
    return out


def _exact(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values in another type if that loses nothing; else as they are."""
    if values.dtype.kind == "V" and values.dtype.itemsize == dtype.itemsize:
        return values.view(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        changed = values.astype(dtype)
    numbers = values.dtype.kind in "iuf" and dtype.kind in "iuf"
    same = np.array_equal(changed, values, equal_nan=values.dtype.kind == "f")
    return changed if same or not numbers else values


def _fields(values: NDArray[Any], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the fields of records: those of records in them, elements of arrays in them."""
    for name in values.dtype.names or ():
        part = values[name]
        if part.dtype.names is not None:
            yield from _fields(part, f"{prefix}{name}.")
        elif part.ndim > values.ndim:
            flat = part.reshape(*values.shape, -1)
            yield from ((f"{prefix}{name}.{i}", flat[..., i]) for i in range(flat.shape[-1]))
        else:
            yield f"{prefix}{name}", part


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


@contextmanager
def open_native(source: Source) -> Iterator[H5pyReader]:
    """Open a file with h5py; see `H5pyReader`."""
    with_plugins()
    with open_file(source) as file:
        yield H5pyReader(file)
