"""A granule by h5py: what ``verify`` compares its document with.

The document is asked only for the name of its data file, by a second, plain reading.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, SourceNotFoundError, UnsupportedError
from refmaker.io.related_files import RelatedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["GranuleReader", "open_granule"]

_HREF = re.compile(rb"<(?:\w+:)?Dataset\b[^>]*?\bdmrpp:href\s*=\s*[\"']([^\"'<]*)[\"']")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def open_granule(source: Source) -> Iterator[GranuleReader]:
    """Open the data file of a document.

    Parameters
    ----------
    source : Source
        The document.

    Raises
    ------
    SourceError
        If it is not there.
    UnsupportedError
        If it is no HDF5 file.
    """
    from refmaker.io.h5py_file import open_file, with_plugins

    with ExitStack() as stack:
        files = stack.enter_context(RelatedFiles(source, anywhere=True))
        data = _data_file(source, files)
        if data.read_upto(0, 8) != _SIGNATURE:
            raise UnsupportedError("the data file is not HDF5", code="dmrpp-native", url=data.url)
        with_plugins()
        yield GranuleReader(stack.enter_context(open_file(data)))


def _data_file(source: Source, files: RelatedFiles) -> Source:
    """Return the file that the root names, or the one that the document is called after."""
    told = _HREF.search(source.read_upto(0, 1 << 16))
    name = "" if told is None else told[1].decode("utf-8", "replace")
    path = source.url.split("?")[0] if "://" in source.url else source.url
    own = re.sub(r"(\.dap)?\.dmrpp$", "", os.path.basename(path), flags=re.IGNORECASE)
    for candidate in (own, name):
        if candidate and "ACCESS_URL" not in candidate and candidate != os.path.basename(path):
            try:
                return files.open(candidate)
            except SourceNotFoundError:
                continue
    raise SourceNotFoundError("its data file is not beside it", url=source.url)


class GranuleReader:
    """A granule that h5py has opened.

    Parameters
    ----------
    file : h5py.File
        The file.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype."""
        import h5py

        found = self._file[path]
        if not isinstance(found, h5py.Dataset):
            raise FormatError("h5py has no such dataset", path=path)
        if found.shape is None or found.shape != array.shape:
            raise FormatError(f"its shape is {found.shape} natively", path=path)
        if array.dtype.hasobject:
            texts = found.asstr(errors="replace")[region or ()]
            return np.asarray(texts, object)
        if array.dtype.kind == "S":
            return self._stored(found, array, region)
        values = np.asarray(found[region or ()])
        if values.dtype.newbyteorder("=") != array.dtype.newbyteorder("="):
            raise FormatError(f"its type is {values.dtype} natively", path=path)
        return values.astype(array.dtype, copy=False)

    def _stored(self, found: Any, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return texts with all their padding, which h5py's own conversion takes away."""
        import h5py

        shape = tuple(part.stop - part.start for part in region)
        values = np.zeros(shape, array.dtype)
        kind = found.id.get_type()
        if kind.get_size() != array.dtype.itemsize or kind.is_variable_str():
            raise FormatError("texts of another length natively", path=found.name)
        space = found.id.get_space()
        if region and values.size:
            space.select_hyperslab(tuple(part.start for part in region), shape)
        if values.size:
            memory = h5py.h5s.create_simple(shape) if region else h5py.h5s.create(h5py.h5s.SCALAR)
            found.id.read(memory, space, values, mtype=kind)
        return values
