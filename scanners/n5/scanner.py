"""N5 containers: a group for each folder, an array for each dataset, a chunk for each block."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError
from refmaker.io.stores import N5_DOCUMENT
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.tree import nested
from refmaker.scanners.n5.datasets import LZ4, attributes_of, parsed_document, read_dataset
from refmaker.scanners.n5.declared import FORMAT
from refmaker.scanning.chunk_keys import ChunkKeys
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.key_store import (
    DOCUMENT_MOST,
    FolderStore,
    StoredChunks,
    flat_numbers,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.n5.datasets import Dataset
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["N5Scanner"]

_ALONE = "data"
"""Name of the array of a dataset that is scanned by itself."""


class N5Scanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of N5 containers in folders."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a container, or of a dataset in one.

        Parameters
        ----------
        source : Source
            The document ``attributes.json`` of its folder.
        options : ScanOptions
            ``follow_external`` allows links that lead out of a local container.

        Returns
        -------
        Group
            Groups and arrays, the fastest axis last. Dimensions are named as ``axes`` says, else by
            the array and a number.
        ScanReport
            A row for every group and dataset.

        Raises
        ------
        FormatError, LimitError
            If the document is damaged or larger than any real one.
        UnsupportedError
            If the store can list nothing.
        """
        report = ScanReport(source.url, format=self.name)
        if source.size > DOCUMENT_MOST:
            raise LimitError(f"a document of {source.size} bytes", url=source.url)
        data = source.read(0, source.size)
        first = parsed_document(data, source.url)
        if not FORMAT.sniff(data, source.url):
            raise FormatError("no document of N5", url=source.url)
        store = FolderStore(source, anywhere=options.follow_external)
        chunks = StoredChunks(store, report, (N5_DOCUMENT,))
        nodes: dict[str, Array | Group] = {}
        for path, document in _documents(store, first, report).items():
            if not isinstance(document, dict):
                report.add(f"/{path}", Outcome.SKIPPED, str(document), "n5-metadata")
                continue
            outside = ("its members are files of their own", "store") if not path else ("", "")
            if "dimensions" not in document:
                nodes[path] = Group({}, attributes_of(document))
                report.add(f"/{path}", Outcome.GROUP, *outside)
                continue
            name = path or _ALONE
            if not path:
                report.add("/", Outcome.GROUP, *outside)
            try:
                nodes[name] = _array(store, chunks, path, document)
            except RefmakerError as error:
                code = getattr(error, "code", "n5-dataset")
                report.add(f"/{name}", Outcome.SKIPPED, str(error), code)
            else:
                report.add(f"/{name}", Outcome.REFERENCED)
        group = nested(_named(nodes))
        assert isinstance(group, Group)  # noqa: S101 - an array has a name here
        return group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the container with TensorStore.

        Raises
        ------
        MissingDependencyError
            If tensorstore is not installed.
        FormatError
            If it is not local.
        """
        from refmaker.scanners.n5.tensorstore_reader import open_n5

        with open_n5(source) as reader:
            yield reader


def _documents(
    store: FolderStore, first: dict[str, Any], report: ScanReport
) -> dict[str, dict[str, Any] | RefmakerError]:
    """Return the documents of all folders by their paths, or why they cannot be read."""
    if store.listing is None:
        hint = "copy it to where folders can be listed"
        raise UnsupportedError(
            "the store cannot list its blocks", code="n5-listing", url=report.url, hint=hint
        )
    names = store.listing.names
    numbers = [
        number
        for number, name in enumerate(names)
        if name.endswith(f"/{N5_DOCUMENT}") and name != N5_DOCUMENT
    ]
    found: dict[str, dict[str, Any] | RefmakerError] = {"": first}
    for number, data in zip(numbers, read_documents(store, numbers), strict=True):
        path = names[number].rpartition("/")[0]
        try:
            if not isinstance(data, bytes):
                raise data
            found[path] = parsed_document(data, store.url(names[number]))
        except RefmakerError as error:
            found[path] = error
    return dict(sorted(found.items()))


def _array(
    store: FolderStore,
    chunks: StoredChunks,
    path: str,
    document: Mapping[str, Any],
) -> Array:
    """Return the array of a dataset."""
    dataset = read_dataset(document, store.url(f"{path}/{N5_DOCUMENT}" if path else N5_DOCUMENT))
    grid = chunk_grid(dataset.shape, dataset.block)
    at, places = chunks.placed(path, ChunkKeys(len(grid), "/"), grid[::-1])
    compressor, skipped = _decoding(dataset, places.length)
    columns = places.columns()
    columns["offset"], columns["length"] = places.offset + skipped, places.length - skipped
    index = flat_numbers(at[:, ::-1], grid)
    table = ChunkTable.from_columns(grid, tuple(places.urls), **columns, index=index)
    # Blocks that are not there read as zeros, as chunks do where no fill value is declared.
    return Array(
        dataset.shape,
        dataset.block,
        dataset.dtype,
        table,
        compressor=compressor,
        dimension_names=dataset.axes,
        attributes=dataset.attributes,
    )


def _decoding(dataset: Dataset, length: NDArray[np.int64]) -> tuple[Mapping[str, Any] | None, int]:
    """Return the compressor of an array's chunks, and how many bytes of a block stand before them.

    Where all blocks are whole, the elements behind their headers are what stock codecs decode, and
    any block that is not whole is an error to them. Others need their header.
    """
    codec = dataset.codec
    skipped = dataset.header_bytes
    even = all(n % size == 0 for n, size in zip(dataset.shape, dataset.block, strict=True))
    if even and (codec is None or codec["id"] != LZ4) and bool(np.all(length > skipped)):
        return codec, skipped
    own = {"shape": list(dataset.block), "itemsize": dataset.dtype.itemsize, "codec": codec}
    return {"id": "refmaker.n5", **own}, 0


def _named(nodes: Mapping[str, Array | Group]) -> dict[str, Array | Group]:
    """Return nodes whose arrays have names for dimensions, one extent for each in a group."""
    extents: dict[tuple[str, str], set[int]] = {}
    for path, node in nodes.items():
        if isinstance(node, Array):
            for axis, extent in zip(node.dimension_names or (), node.shape, strict=False):
                extents.setdefault((path.rpartition("/")[0], axis), set()).add(extent)
    found: dict[str, Array | Group] = {}
    for path, node in nodes.items():
        if not isinstance(node, Array):
            found[path] = node
            continue
        folder, _, name = path.rpartition("/")
        told = node.dimension_names or tuple(map(str, range(len(node.shape))))
        own = node.dimension_names is None or any(len(extents[folder, axis]) > 1 for axis in told)
        names = tuple(f"{name}_{axis}" for axis in told) if own else told
        found[path] = replace(node, dimension_names=names)
    return found
