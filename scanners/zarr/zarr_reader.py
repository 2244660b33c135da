"""Zarr stores by zarr: what ``verify`` compares with."""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.io.stores import StoreURL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["ZarrReader", "open_zarr"]


@contextmanager
def open_zarr(source: Source) -> Iterator[ZarrReader]:
    """Open a store with zarr.

    Parameters
    ----------
    source : Source
        The document at its root, or a zip archive.

    Raises
    ------
    FormatError
        If zarr does not open it.
    """
    import zarr

    with ExitStack() as stack:
        folder = ""
        if source.read_upto(0, 4) == b"PK\x03\x04":
            store, folder, third = _archive(source, stack)
        else:
            store = _folder(source)
            third = StoreURL(source.url).path.endswith("zarr.json")
        try:
            root = zarr.open(store=store, path=folder, mode="r", zarr_format=3 if third else 2)
        except Exception as error:
            # The edge to zarr, which raises what it likes of what it does not read.
            raise FormatError(f"zarr does not open it: {error}", url=source.url) from error
        yield ZarrReader(root)


def _archive(source: Source, stack: ExitStack) -> tuple[Any, str, bool]:
    """Return the store in an archive, its folder in it, and whether it is of version 3."""
    import tempfile
    from zipfile import ZipFile

    import zarr
    from zarr.core.sync import sync

    path = source.path
    if path is None:
        path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "store.zip")
        with open(path, "wb") as file:
            file.write(source.read(0, source.size))
    with ZipFile(path) as archive:
        names = archive.namelist()
    documents = (".zgroup", ".zarray", "zarr.json")
    tops = [posixpath.dirname(name) for name in names if posixpath.basename(name) in documents]
    folder = min(tops, key=len)
    store = sync(zarr.storage.ZipStore.open(path, mode="r"))
    stack.callback(store.close)
    return store, folder, posixpath.join(folder, "zarr.json") in names


def _folder(source: Source) -> Any:
    """Return the store in a folder, local or remote."""
    import zarr

    if source.path is not None:
        return zarr.storage.LocalStore(posixpath.dirname(source.url), read_only=True)
    from refmaker.io.policy import policy_of

    options = policy_of(source.url, source.storage_options)[1]
    url = StoreURL(source.url).parent()
    return zarr.storage.FsspecStore.from_url(
        url.url, storage_options=options or None, read_only=True
    )


class ZarrReader:
    """A store that zarr has opened.

    Parameters
    ----------
    root : zarr.Group or zarr.Array
        Its root.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._arrays: dict[str, Any] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype."""
        found = self._opened(path.strip("/"))
        values = np.asarray(found[region or ...])
        shape = [part.stop - part.start for part in region]
        return values.reshape(shape).astype(array.dtype, copy=False)

    def _opened(self, path: str) -> Any:
        """Return an array; one that consolidated metadata lack by its own document."""
        import zarr

        if not hasattr(self._root, "members"):
            return self._root
        if path not in self._arrays:
            try:
                self._arrays[path] = self._root[path]
            except KeyError:
                within = f"{self._root.path}/{path}".strip("/")
                self._arrays[path] = zarr.open_array(store=self._root.store, path=within, mode="r")
        return self._arrays[path]
