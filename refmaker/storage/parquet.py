"""References as Parquet: a folder that stock fsspec reads lazily, record by record.

The layout is that of fsspec's ``LazyReferenceMapper``: a file ``.zmetadata`` holds all metadata
documents and the ``record_size``, and ``<array>/refs.<k>.parq`` the chunks number
``k * record_size`` and following of the array's grid in C order, one row each, in the columns
``path``, ``offset``, ``size`` and ``raw``. Absent chunks are rows with nulls.

What stock readers need, beyond that description, to tell absent chunks from others: files
without pandas metadata and Arrow schema; no column ``raw`` where no chunk of a record is
inlined; offsets and sizes without nulls, with statistics that say so; records padded to their
full size. fsspec opens such a folder by ``reference://`` if the packages fastparquet and pandas
are installed. It looks for the protocol of the targets by going through all references, which
fails with nested groups: give it ``remote_protocol`` (``"file"`` for local files). A member
``refmaker`` in ``.zmetadata`` holds what other readers pass over, as in JSON.
"""

from __future__ import annotations

import base64
import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError, MissingDependencyError
from refmaker.io.folders import replacing_folder
from refmaker.io.source import local_path
from refmaker.model.zarr_v2 import documents, dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import ChunkTable, Group

__all__ = ["METADATA", "RECORD_NAME", "Grown", "arrow", "grow", "record_size_of", "write"]

METADATA = ".zmetadata"
_RECORD = 10_000
"""Rows of a record: what a reader loads for one chunk."""
_LARGE_RECORD = 100_000
"""Rows of a record in sets with a larger array than `_MANY` chunks."""
_MANY = 4_000_000
_EMPTY_RECORDS = 1000
"""Records of one array up to which those without any chunk are written, too."""
_BASE64 = b"base64:"
RECORD_NAME = re.compile(r"refs\.(0|[1-9][0-9]{0,17})\.parq")


def arrow() -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises
    ------
    MissingDependencyError
        If they are not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "references as Parquet need the package pyarrow",
            hint="pip install 'refmaker[parquet]'",
        ) from error


def write(
    group: Group,
    out: str | os.PathLike[str],
    header: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    *,
    record_size: int | None = None,
) -> None:
    """Write a reference set as a folder of Parquet files.

    Parameters
    ----------
    group : Group
        The root group.
    out : str or os.PathLike
        The folder, which appears whole or not at all. One that is there is replaced if it holds
        nothing but a reference set.
    header : mapping, optional
        Content of the member ``refmaker``.
    storage_options : mapping, optional
        Passed to fsspec.
    record_size : int, optional
        Rows of a record; by default the chunks of the largest array, at most 10,000, or
        100,000 in sets with an array of more than 4 million chunks.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    SourceError
        If the place cannot be written, or holds something else.
    MetadataError
        If something in the set, or the folder's name, cannot be expressed so that stock readers
        understand it.
    """
    arrow()
    name = os.fspath(out)
    _check_place(name)
    for path, _ in group.walk():
        _check_path(path)
    if record_size is None:
        record_size = record_size_of(group)
    content = _metadata(group, record_size, header)
    with replacing_folder(out, storage_options, METADATA, _is_ours) as folder:
        for path, array in group.arrays():
            for number, data in _records(array.chunks, record_size):
                folder.put(f"{path}/refs.{number}.parq", data)
        folder.put(METADATA, content)


class Grown(NamedTuple):
    """The chunks of an array from some record on.

    Attributes
    ----------
    first : int
        Number of the first record that is another than before.
    table : ChunkTable
        The chunks from there on, in the whole grid.
    """

    first: int
    table: ChunkTable


def grow(
    group: Group,
    out: str | os.PathLike[str],
    header: Mapping[str, Any],
    record_size: int,
    grown: Mapping[str, Grown],
) -> None:
    """Replace a local set by one that has grown; records that stay are linked, not written.

    Records never change in place, so that the old set and the new one can share them.

    Parameters
    ----------
    group : Group
        The whole set as it is to be; chunks count only of arrays that `grown` does not name.
    out : str or os.PathLike
        The folder of the set.
    header : mapping
        Content of the member ``refmaker``.
    record_size : int
        Rows of a record, as they are there.
    grown : mapping of str to Grown
        By path, the arrays of which records stay.

    Raises
    ------
    SourceError, MetadataError, MissingDependencyError
        As for `write`.
    """
    content = _metadata(group, record_size, header)
    for path, _ in group.walk():
        _check_path(path)
    with replacing_folder(out, None, METADATA, _is_ours) as folder:
        for path, array in group.arrays():
            first, table = grown.get(path, (0, array.chunks))
            for name in folder.old(path) if first else ():
                match = RECORD_NAME.fullmatch(name)
                if match is not None and int(match[1]) < first:
                    folder.keep(f"{path}/{name}")
            for number, data in _records(table, record_size, first):
                folder.put(f"{path}/refs.{number}.parq", data)
        folder.put(METADATA, content)


def _metadata(group: Group, record_size: int, header: Mapping[str, Any] | None) -> bytes:
    content = {"metadata": dict(documents(group)), "record_size": record_size}
    content |= {"zarr_consolidated_format": 1} | ({"refmaker": dict(header)} if header else {})
    return dumps(content).encode()


def record_size_of(group: Group, *, largest: bool = True) -> int:
    """Return the rows of a record that `write` takes for a set.

    Parameters
    ----------
    group : Group
        The set.
    largest : bool
        Whether records of very large sets are larger.
    """
    size = max((array.chunks.size for _, array in group.arrays()), default=1)
    return max(1, min(size, _LARGE_RECORD if largest and size > _MANY else _RECORD))


def _check_place(name: str) -> None:
    path = local_path(name)
    place = name if path is None else os.path.abspath(path)
    for text, what in (("{", "braces"), ("}", "braces"), (".json", "'.json'")):
        if text in place:
            raise MetadataError(
                f"stock readers do not open a folder with {what} in its path",
                url=name,
                hint="choose another output",
            )


def _check_path(path: str) -> None:
    if any(part.startswith(".z") or "\0" in part for part in path.split("/")):
        raise MetadataError(
            "stock readers take a name that begins with '.z' for metadata", path=path
        )


def _is_ours(name: str) -> bool:
    base = name.rpartition("/")[2]
    return name == METADATA or (base.startswith("refs.") and base.endswith(".parq"))


def _records(table: ChunkTable, size: int, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of every record of an array from one on."""
    pyarrow, _ = arrow()
    urls = _arrow_texts([url.encode() for url in table.urls], pyarrow.string())
    total = -(-table.size // size)
    inlined: dict[int, dict[int, bytes]] = {}
    for number, data in table.inlined.items():
        inlined.setdefault(number // size, {})[number % size] = data
    empty = None
    for number in _numbers(table, size, total, inlined):
        if number < first:
            continue
        low = number * size
        rows = slice(low, min(low + size, table.referenced))
        if table.index is not None:
            bounds = np.array([low, low + size], np.uint64)
            rows = slice(*np.searchsorted(table.index, bounds).tolist())
        if rows.start < rows.stop or number in inlined:
            yield number, _record(table, urls, rows, low, size, inlined.get(number))
            continue
        empty = empty or _record(table, urls, rows, low, size, None)
        yield number, empty


def _numbers(table: ChunkTable, size: int, total: int, inlined: Mapping[int, Any]) -> Iterator[int]:
    """Yield the numbers of the records to write: all, or of a vast array those with chunks."""
    if total <= _EMPTY_RECORDS or table.index is None:
        yield from range(total)
        return
    used = np.unique(table.index // np.uint64(size)).astype(np.int64)
    yield from np.union1d(used, np.fromiter(inlined, np.int64, len(inlined))).tolist()


def _record(
    table: ChunkTable,
    urls: Any,
    rows: slice,
    low: int,
    size: int,
    inlined: Mapping[int, bytes] | None,
) -> bytes:
    pyarrow, parquet = arrow()
    places: NDArray[Any] | slice = slice(0, rows.stop - rows.start)
    if table.index is not None:
        places = (table.index[rows] - np.uint64(low)).astype(np.int64)
    file = np.zeros(size, np.int32)
    absent = np.ones(size, bool)
    offset, length = np.zeros(size, np.int64), np.zeros(size, np.int64)
    absent[places] = False
    offset[places], length[places] = table.offset[rows], table.length[rows]
    if table.url is not None:
        file[places] = table.url[rows]
    columns = {
        "path": urls.take(_arrow_numbers(file, pyarrow.int32(), ~absent)),
        "offset": _arrow_numbers(offset, pyarrow.int64()),
        "size": _arrow_numbers(length, pyarrow.int64()),
    }
    schema = [
        pyarrow.field("path", pyarrow.string()),
        pyarrow.field("offset", pyarrow.int64(), nullable=False),
        pyarrow.field("size", pyarrow.int64(), nullable=False),
    ]
    if inlined:
        values: list[bytes | None] = [None] * size
        for place, data in inlined.items():
            # fsspec takes this prefix for its own, so bytes that begin with it are encoded.
            encoded = data.startswith(_BASE64)
            values[place] = _BASE64 + base64.b64encode(data) if encoded else data
        columns["raw"] = _arrow_texts(values, pyarrow.binary())
        schema.append(pyarrow.field("raw", pyarrow.binary()))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(
        pyarrow.Table.from_arrays(list(columns.values()), schema=pyarrow.schema(schema)),
        sink,
        row_group_size=size,
        compression="zstd",
        use_dictionary=["path"],
        # Not knowing that there are no nulls, fastparquet reads integers as floats.
        write_statistics=["offset", "size"],
        store_schema=False,
    )
    return bytes(sink.getvalue())


# Arrow's own way to make its arrays loads pandas, which takes longer than a record.


def _arrow_numbers(values: NDArray[Any], kind: Any, valid: NDArray[np.bool_] | None = None) -> Any:
    """Return numbers as an Arrow array, of which some may be missing."""
    pyarrow, _ = arrow()
    bits = None if valid is None else pyarrow.py_buffer(np.packbits(valid, bitorder="little"))
    return pyarrow.Array.from_buffers(kind, len(values), [bits, pyarrow.py_buffer(values)])


def _arrow_texts(values: Sequence[bytes | None], kind: Any) -> Any:
    """Return texts or bytes as an Arrow array, of which some may be missing."""
    pyarrow, _ = arrow()
    valid = np.array([value is not None for value in values], bool)
    ends = np.zeros(len(values) + 1, np.int64)
    np.cumsum([len(value or b"") for value in values], out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise LimitError(f"{ends[-1]} bytes of names or values in one record")
    bits = pyarrow.py_buffer(np.packbits(valid, bitorder="little"))
    data = b"".join(value or b"" for value in values)
    parts = [bits, pyarrow.py_buffer(ends.astype(np.int32)), pyarrow.py_buffer(data)]
    return pyarrow.Array.from_buffers(kind, len(values), parts)
