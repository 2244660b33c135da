"""References as Parquet, of this package or kerchunk, back to groups and arrays."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.io.folders import ReadableFolder, open_folder
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.storage.parquet import METADATA, RECORD_NAME, arrow
from refmaker.storage.text import BASE64
from refmaker.storage.tree import Tree, add_document, assemble

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "RECORD_LIMIT", "ParquetRecord", "read", "read_metadata", "read_record", "read_table",
]  # fmt: skip

RECORD_LIMIT = 1 << 23
"""Rows of one record; compressed, any number of equal rows is but a few bytes."""
_COLUMNS = ("path", "offset", "size", "raw")


class ParquetRecord(NamedTuple):
    """The present rows of one record.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Rows in the record that are byte ranges, ascending.
    urls : list of str
        Their distinct files.
    url : ndarray of int32, shape (n,)
        Which of them.
    offset, length : ndarray of int64, shape (n,)
        Bytes; both 0 for the whole file.
    inlined : dict of int to bytes
        Rows that hold the bytes themselves.
    """

    row: NDArray[np.int64]
    urls: list[str]
    url: NDArray[np.int32]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    inlined: dict[int, bytes]


def read(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> tuple[Group, dict[str, Any]]:
    """Read a reference set.

    Parameters
    ----------
    url : str or os.PathLike
        The folder.
    storage_options : mapping, optional
        Passed to fsspec.

    Returns
    -------
    Group
        The root group.
    dict
        Content of the member ``refmaker``; empty where others wrote the set.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    SourceError
        If a file cannot be read.
    MetadataError
        If it is no reference set, or contradicts itself.
    LimitError
        If a record is larger than `RECORD_LIMIT`.
    """
    arrow()
    folder = open_folder(url, storage_options)
    tree, size, header = read_metadata(folder)
    return (
        assemble(tree, lambda path, array: read_table(folder, path, array, size), folder.url),
        header,
    )


def read_metadata(folder: ReadableFolder) -> tuple[Tree, int, dict[str, Any]]:
    """Return the documents, the rows of a record, and the member ``refmaker``.

    Raises
    ------
    MetadataError
        If the file ``.zmetadata`` is not that of a reference set.
    """
    try:
        content = json.loads(folder.read(METADATA))
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"not JSON: {error}", url=folder.url, path=METADATA) from error
    size = content.get("record_size") if isinstance(content, dict) else None
    if type(size) is not int or size < 1 or not isinstance(content.get("metadata"), dict):
        raise MetadataError(
            "no 'record_size' or no 'metadata': not a reference set",
            url=folder.url,
            path=METADATA,
        )
    tree: Tree = {}
    for key, value in content["metadata"].items():
        if not add_document(tree, key, value, folder.url):
            raise MetadataError("no metadata document has this key", url=folder.url, path=key)
    header = content.get("refmaker", {})
    if not isinstance(header, dict):
        raise MetadataError("'refmaker' is no JSON object", url=folder.url, path=METADATA)
    return tree, size, header


def read_record(data: bytes, size: int) -> ParquetRecord:
    """Read one record.

    Parameters
    ----------
    data : bytes
        Content of a file ``refs.<k>.parq``.

    Raises
    ------
    MetadataError
        If it is no record.
    LimitError
        If it has more rows than `RECORD_LIMIT`.
    """
    pyarrow, parquet = arrow()
    try:
        metadata = parquet.read_metadata(pyarrow.BufferReader(data))
        rows, names = metadata.num_rows, metadata.schema.names
        if rows > size:
            raise MetadataError(f"{rows} rows in a record of {size}")
        if rows > RECORD_LIMIT:
            raise LimitError(f"{rows} rows in a record, at most {RECORD_LIMIT} are read")
        file = parquet.ParquetFile(
            pyarrow.BufferReader(data),
            metadata=metadata,
            # Not expanded: a long text of many rows may take a few bytes in the file.
            read_dictionary=["path"] if "path" in names else None,
        )
        found = file.read(columns=[name for name in _COLUMNS if name in names])
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, RefmakerError):
            raise
        raise MetadataError(f"not a record of references: {error}") from error
    raw = found.column("raw") if "raw" in found.column_names else None
    inlined = {} if raw is None or raw.null_count == rows else _inlined(raw)
    if "path" not in found.column_names:
        none = np.empty(0, np.int64)
        return ParquetRecord(none, [], none.astype(np.int32), none, none, inlined)
    return _ranges(found, inlined)


def _ranges(found: Any, inlined: dict[int, bytes]) -> ParquetRecord:
    pyarrow, _ = arrow()
    path = found.column("path").combine_chunks()
    if isinstance(path, pyarrow.ChunkedArray):
        path = path.chunk(0) if path.num_chunks else pyarrow.nulls(0, path.type)
    if not pyarrow.types.is_dictionary(path.type):
        path = path.dictionary_encode()
    present = _valid(path.indices)
    if inlined:
        # Where a row has both, readers take the bytes.
        present[np.fromiter(inlined, np.int64, len(inlined))] = False
    index = np.flatnonzero(present)
    url = _numbers(path.indices.cast(pyarrow.int32()), np.int32)[present]
    offset, length = (_integers(found, name)[present] for name in ("offset", "size"))
    urls = path.dictionary.to_pylist()
    if not all(isinstance(text, str) for text in urls):
        raise MetadataError("the column 'path' does not hold texts")
    return ParquetRecord(index, urls, url, offset, length, inlined)


def _integers(found: Any, name: str) -> NDArray[np.int64]:
    """Return a column of integers; missing ones are 0, as where a path is a whole file."""
    pyarrow, _ = arrow()
    if name not in found.column_names:
        return np.zeros(found.num_rows, np.int64)
    column = found.column(name)
    try:
        whole = column.cast(pyarrow.int64()).combine_chunks()
    except pyarrow.ArrowException as error:
        raise MetadataError(f"the column {name!r} does not hold integers: {error}") from error
    if isinstance(whole, pyarrow.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pyarrow.nulls(0, pyarrow.int64())
    values = _numbers(whole, np.int64)
    return values if whole.null_count == 0 else np.where(_valid(whole), values, 0)


def _numbers(array: Any, dtype: Any) -> NDArray[Any]:
    """Return the numbers of an Arrow array of this type; Arrow's own way to do it loads pandas."""
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def _valid(array: Any) -> NDArray[np.bool_]:
    """Return which elements of an Arrow array are none that are missing."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), bool)
    shown = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little").astype(bool)
    return shown[array.offset : array.offset + len(array)]


def _inlined(column: Any) -> dict[int, bytes]:
    found = {}
    for row, value in enumerate(column.to_pylist()):
        if value is not None:
            data = value.encode() if isinstance(value, str) else value
            if not isinstance(data, bytes):
                raise MetadataError("the column 'raw' does not hold bytes")
            if data.startswith(BASE64.encode()):
                try:
                    data = base64.b64decode(data[len(BASE64) :], validate=True)
                except ValueError as error:
                    raise MetadataError(f"row {row}: {error}") from error
            found[row] = data
    return found


def read_table(
    folder: ReadableFolder, path: str, array: Array, size: int, first: int = 0
) -> ChunkTable:
    """Return the chunks of one array.

    Parameters
    ----------
    folder : ReadableFolder
        The set.
    path : str
        The array.
    array : Array
        Gives the grid.
    size : int
        Rows of a record.
    first : int
        Number of the first record that is read; chunks of those before it are left out.

    Raises
    ------
    SourceError, MetadataError, LimitError
        As for `read`.
    """
    grid = chunk_grid(array.shape, array.chunk_shape)
    found = (int(m[1]) for m in map(RECORD_NAME.fullmatch, folder.names(path)) if m is not None)
    numbers = sorted(number for number in found if number >= first)
    number_of: dict[str, int] = {}
    columns: list[ParquetRecord] = []
    index: list[NDArray[np.int64]] = []
    files: list[NDArray[np.int32]] = []
    inlined: dict[int, bytes] = {}
    for number in numbers:
        try:
            record = read_record(folder.read(f"{path}/refs.{number}.parq"), size)
        except (MetadataError, LimitError) as error:
            raise error.located(url=folder.url, path=f"{path}/refs.{number}.parq") from error
        names = [number_of.setdefault(text, len(number_of)) for text in record.urls]
        files.append(np.array(names or [0], np.int32)[record.url])
        index.append(record.row + number * size)
        inlined.update({row + number * size: data for row, data in record.inlined.items()})
        columns.append(record)
    if not any(part.size for part in index):
        return ChunkTable.inline(grid, inlined)
    return ChunkTable.from_columns(
        grid,
        tuple(number_of),
        offset=np.concatenate([record.offset for record in columns]),
        length=np.concatenate([record.length for record in columns]),
        index=np.concatenate(index),
        url=np.concatenate(files),
        inlined=inlined,
    )
