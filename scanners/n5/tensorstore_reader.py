"""N5 containers by TensorStore: what ``verify`` compares with."""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["open_n5"]


@contextmanager
def open_n5(source: Source) -> Iterator[LibraryReader]:
    """Open a container with TensorStore.

    Parameters
    ----------
    source : Source
        The document of its folder, which is local.

    Raises
    ------
    MissingDependencyError
        If tensorstore is not installed.
    FormatError
        If it is not local.
    """
    tensorstore = library("tensorstore", purpose="to read N5 natively")
    if source.path is None:
        raise FormatError("TensorStore is asked for local containers alone", url=source.url)
    yield _TensorStoreReader(tensorstore, posixpath.dirname(source.url))


class _TensorStoreReader:
    """Datasets of a container, opened when they are asked for."""

    def __init__(self, tensorstore: Any, root: str) -> None:
        self._open, self._root = tensorstore.open, root
        self._arrays: dict[str, Any] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array."""
        name = path.strip("/")
        if name not in self._arrays:
            folder = self._root
            if name != "data" or os.path.exists(posixpath.join(folder, name, "attributes.json")):
                folder = posixpath.join(folder, name)
            spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{folder}/"}}
            try:
                self._arrays[name] = self._open(spec, read=True).result()
            except (ValueError, OSError) as error:
                raise FormatError(f"TensorStore refuses it: {error}", url=folder) from error
        values = self._arrays[name][tuple(reversed(region))].read().result()
        return np.asarray(values.T, array.dtype)
