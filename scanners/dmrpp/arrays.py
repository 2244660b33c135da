"""Variables as arrays: byte ranges of the data file, or values of the document."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import FormatError, LimitError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table
from refmaker.model.inline import encode_inline
from refmaker.scanners.dmrpp.chunks import Pieces, filters_of, masked, storage_of, whole_size
from refmaker.scanners.dmrpp.dataset import NUMBERS, TEXTS
from refmaker.scanners.dmrpp.document import DMRPP
from refmaker.scanners.dmrpp.values import embedded, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.dmrpp.chunks import Storage
    from refmaker.scanners.dmrpp.dataset import Dataset, Variable
    from refmaker.scanners.dmrpp.granule import Granule
    from refmaker.scanning.options import ScanOptions

__all__ = ["ArrayBuilder"]

_NO_FILL = ("unsupported", "undefined")
_VLEN = {"id": "vlen-utf8"}


class ArrayBuilder:
    """Makes arrays of the variables of a document.

    Parameters
    ----------
    dataset : Dataset
        The document.
    granule : Granule
        Opens the data files.
    report : ScanReport
        Is told of what is odd.
    options : ScanOptions
        ``inline_threshold``, ``inline_budget`` and ``chunk_bytes`` count.
    """

    def __init__(
        self, dataset: Dataset, granule: Granule, report: ScanReport, options: ScanOptions
    ) -> None:
        self._dataset, self._granule = dataset, granule
        self._report, self._options = report, options
        self._versioned = f"{DMRPP}version" in dataset.root.attributes

    def array(self, variable: Variable, attributes: Mapping[str, Any]) -> Array:
        """Return the array of a variable.

        Parameters
        ----------
        variable : Variable
            With its dimensions.
        attributes : mapping
            JSON values.

        Raises
        ------
        FormatError, TruncatedError
            If the document contradicts itself, or the data file does not hold the data.
        UnsupportedError
            If the document does not tell enough to read the data.
        SourceError
            If the data file is not there.
        LimitError
            If values take more than is inlined.
        """
        if variable.kind in TEXTS:
            array = self._texts(variable)
            if array is not None:
                return replace(array, attributes=dict(attributes))
        dtype, more = self._dtype(variable)
        attributes = {**more, **attributes}
        storage = storage_of(variable.element, versioned=self._versioned)
        nbytes = whole_size(variable.shape, dtype.itemsize)
        values = embedded(variable.element, nbytes)
        if values is not None:
            array = _inlined(variable, dtype.newbyteorder("<"), values[0])
            stored = None
        elif storage is None:
            raise UnsupportedError(
                "the document does not say where its data lie",
                code="dmrpp-nowhere",
                hint="scan the data file itself",
            )
        else:
            if storage.order == ">":
                dtype = dtype.newbyteorder(">")
            stored = self._fill(variable, storage, dtype)
            array = self._stored(variable, storage, dtype, nbytes)
        array = replace(array, fill_value=stored, attributes=attributes)

        def warn(text: str) -> None:
            self._report.warn(f"/{variable.path}: {text}")

        return settle_fill(array, self._options.inline_budget, warn)

    def _texts(self, variable: Variable) -> Array | None:
        """Return the array of texts of variable length; None of those of fixed length."""
        element = variable.element
        found = texts(element, variable.size, self._options.inline_budget)
        if found is None:
            if element.child(f"{DMRPP}FixedLengthStringArray") is None:
                raise UnsupportedError(
                    "texts of variable length, whose places the document does not tell",
                    code="dmrpp-string",
                    hint="scan the data file itself",
                )
            return None
        from numcodecs import VLenUTF8

        whole = tuple(max(1, extent) for extent in variable.shape)
        grid = chunk_grid(variable.shape, whole)
        data = bytes(VLenUTF8().encode(np.array(found, object)))
        table = ChunkTable.inline(grid, {0: data} if variable.size else {})
        names = variable.dimensions
        return Array(
            variable.shape, whole, np.dtype(object), table, filters=(_VLEN,), dimension_names=names
        )

    def _dtype(self, variable: Variable) -> tuple[np.dtype[Any], dict[str, Any]]:
        """Return the little-endian type of elements, and attributes that come with it."""
        kind, element = variable.kind, variable.element
        if kind in NUMBERS:
            return np.dtype("<" + NUMBERS[kind]), {}
        if kind == "Enum":
            return self._dataset.enumeration(variable)
        if kind == "Structure":
            return _record(variable), {}
        fixed = element.child(f"{DMRPP}FixedLengthStringArray")
        if kind in TEXTS and fixed is not None:
            length = fixed.attributes.get("string_length", "")
            if not length.isascii() or not length.isdigit() or not 0 < int(length) < 2**31:
                raise FormatError(f"texts of length {length!r:.80}")
            return np.dtype(f"S{int(length)}"), {}
        raise UnsupportedError(
            f"a variable of the type {kind}",
            code=f"dmrpp-{kind.lower()}",
            hint="scan the data file itself",
        )

    def _fill(self, variable: Variable, storage: Storage, dtype: np.dtype[Any]) -> Any:
        """Return the value of elements that were never written; None if that is nothing."""
        text = storage.fill
        if text is None or dtype.names is not None:
            return None
        if text.startswith(_NO_FILL):
            self._report.warn(f"/{variable.path}: its fill value is {text!r:.80}, taken for none")
            return None
        try:
            if dtype.kind == "S":
                raw = text.encode()
                return np.bytes_(raw) if len(raw) <= dtype.itemsize and raw else None
            if dtype.kind == "f":
                return dtype.newbyteorder("=").type(text)
            number = int(text)
            info = np.iinfo(dtype)
            if not info.min <= number <= info.max:
                # Of characters, and of unsigned types in signed terms.
                number %= 1 << (8 * dtype.itemsize)
            return np.array(number, dtype)[()]
        except (ValueError, OverflowError):
            self._report.warn(f"/{variable.path}: {text!r:.80} is no fill value of {dtype}")
            return None

    def _stored(
        self, variable: Variable, storage: Storage, dtype: np.dtype[Any], nbytes: int
    ) -> Array:
        """Return the array of data that lie in a file."""
        if storage.blocks:
            return self._blocks(variable, storage, dtype, nbytes, Pieces(storage.blocks))
        whole = tuple(max(1, extent) for extent in variable.shape)
        pieces = Pieces(storage.rows)
        if pieces.linked:
            return self._linked(variable, storage, dtype, nbytes, pieces)
        shape = storage.chunk_shape
        if shape is not None and len(shape) != len(variable.shape):
            raise FormatError(f"chunks of {shape} of an array of {variable.shape}")
        if shape is None or not storage.rows:
            if len(storage.rows) > 1:
                raise FormatError(f"{len(storage.rows)} chunks without a shape")
            shape = shape or whole
        plain = not storage.filters and storage.chunk_shape is None
        if plain and len(storage.rows) == 1 and variable.size:
            return self._contiguous(variable, dtype, nbytes, pieces)
        return self._chunked(variable, storage, dtype, shape, pieces)

    def _contiguous(
        self, variable: Variable, dtype: np.dtype[Any], nbytes: int, pieces: Pieces
    ) -> Array:
        """Return an array whose elements lie one after the other in a file."""
        start, length = int(pieces.offset[0]), int(pieces.length[0])
        if length != nbytes:
            raise FormatError(f"{length} bytes for elements of {nbytes}")
        source = self._granule.open(pieces.hrefs[0] if pieces.hrefs else "")
        _check_end(source, start + length)
        names = variable.dimensions
        if nbytes <= self._options.inline_threshold:
            found = _inlined(variable, dtype, source.read(start, length), plain=True)
            return replace(found, dimension_names=names)
        target = self._options.chunk_bytes
        chunk, table = contiguous_table(variable.shape, dtype.itemsize, start, source.url, target)
        return Array(variable.shape, chunk, dtype, table, dimension_names=names)

    def _chunked(
        self,
        variable: Variable,
        storage: Storage,
        dtype: np.dtype[Any],
        chunk_shape: tuple[int, ...],
        pieces: Pieces,
    ) -> Array:
        """Return an array whose chunks lie in a file, or in several."""
        grid = chunk_grid(variable.shape, chunk_shape)
        nbytes = whole_size(chunk_shape, dtype.itemsize)
        filters = filters_of(storage, dtype.itemsize)
        codecs = masked(filters, pieces.length, pieces.masks, nbytes)
        if not codecs and pieces.length.size and bool((pieces.length != nbytes).any()):
            raise FormatError(f"chunks of other than {nbytes} bytes")
        position = pieces.positions(len(grid))
        extents = np.array(chunk_shape, np.int64)
        if bool((position % extents).any()):
            raise FormatError("a chunk that begins between others")
        at = position // extents
        if bool((at >= np.array(grid, np.int64)).any()):
            raise UnsupportedError(
                f"chunks beyond the shape {variable.shape}, as in a document that was cut",
                code="dmrpp-subset",
                hint="scan the data file itself",
            )
        number = np.ravel_multi_index(tuple(at.T), grid) if grid else np.zeros(len(at), np.int64)
        urls, file = self._files(pieces)
        table = ChunkTable.from_columns(
            grid, urls, offset=pieces.offset, length=pieces.length, index=number, url=file
        )
        array = Array(
            variable.shape,
            chunk_shape,
            dtype,
            table,
            filters=codecs,
            dimension_names=variable.dimensions,
        )
        return self._small(array)

    def _files(self, pieces: Pieces) -> tuple[tuple[str, ...], Any]:
        """Return the files of pieces, and which each lies in, after a look at their ends."""
        if not pieces.offset.size:
            return (), None
        if pieces.hrefs is None:
            source = self._granule.open("")
            _check_end(source, int((pieces.offset + pieces.length).max()))
            return (source.url,), None
        names = list(dict.fromkeys(pieces.hrefs))
        number = {name: i for i, name in enumerate(names)}
        file = np.array([number[name] for name in pieces.hrefs], np.int32)
        ends = np.zeros(len(names), np.int64)
        np.maximum.at(ends, file, pieces.offset + pieces.length)
        urls = []
        for name, end in zip(names, ends.tolist(), strict=True):
            source = self._granule.open(name)
            _check_end(source, end)
            urls.append(source.url)
        unique = tuple(dict.fromkeys(urls))
        same = np.array([unique.index(url) for url in urls], np.int32)
        return unique, same[file]

    def _small(self, array: Array) -> Array:
        """Return an array of one small chunk with its bytes in it."""
        table = array.chunks
        most = self._options.inline_threshold
        if table.size != 1 or not table.referenced or array.nbytes > most:
            return array
        offset, length = int(table.offset[0]), int(table.length[0])
        if length > 2 * most + 64:
            return array
        source = self._granule.known(table.urls[0])
        data = source.read(offset, length)
        return replace(array, chunks=ChunkTable.inline(table.grid, {0: data}))

    def _blocks(
        self,
        variable: Variable,
        storage: Storage,
        dtype: np.dtype[Any],
        nbytes: int,
        pieces: Pieces,
    ) -> Array:
        """Return an array whose one chunk lies in several places."""
        runs = pieces.joined()
        whole = tuple(max(1, extent) for extent in variable.shape)
        codecs = tuple(c for c in filters_of(storage, dtype.itemsize) if c is not None)
        names = variable.dimensions
        length = sum(size for _, _, size in runs)
        if not codecs and length < nbytes:
            raise FormatError(f"blocks of {length} bytes for elements of {nbytes}")
        grid = chunk_grid(variable.shape, whole)
        if len(runs) == 1:
            name, start, _ = runs[0]
            source = self._granule.open(name)
            _check_end(source, start + length)
            size = length if codecs else nbytes
            one = ([start], [size]) if 0 not in grid else ([], [])
            offsets, lengths = (np.array(column, np.int64) for column in one)
            table = ChunkTable.from_columns(
                grid, (source.url,), offset=offsets, length=lengths, index=np.arange(len(one[0]))
            )
        else:
            data = self._put_together(runs, length)
            data = data if codecs else data[:nbytes]
            table = ChunkTable.inline(grid, {0: data} if 0 not in grid else {})
        return Array(variable.shape, whole, dtype, table, filters=codecs, dimension_names=names)

    def _put_together(self, runs: list[tuple[str, int, int]], length: int) -> bytes:
        if length > self._options.inline_budget:
            raise LimitError(
                f"its {length} bytes lie in {len(runs)} places, more than is inlined",
                hint="raise `inline_budget`, or scan the data file itself",
            )
        parts = []
        for name, start, size in runs:
            source = self._granule.open(name)
            _check_end(source, start + size)
            parts.append(source.read(start, size))
        return b"".join(parts)

    def _linked(
        self,
        variable: Variable,
        storage: Storage,
        dtype: np.dtype[Any],
        nbytes: int,
        pieces: Pieces,
    ) -> Array:
        """Return an array of which chunks lie in several places each."""
        shape = storage.chunk_shape or tuple(max(1, extent) for extent in variable.shape)
        several = pieces.placed and len(np.unique(pieces.positions(len(shape)), axis=0)) > 1
        if several or nbytes == 0:
            raise UnsupportedError(
                "chunks that lie in several places each",
                code="dmrpp-linked-blocks",
                hint="scan the data file itself",
            )
        if chunk_grid(variable.shape, shape) != (1,) * len(shape):
            raise FormatError("one chunk of several lies in several places")
        found = self._blocks(variable, storage, dtype, nbytes, pieces)
        grid = chunk_grid(variable.shape, shape)
        return replace(found, chunk_shape=shape, chunks=replace(found.chunks, grid=grid))


def _check_end(source: Source, end: int) -> None:
    if end > source.size:
        raise TruncatedError(
            f"the document names bytes up to {end}, the data file has {source.size}",
            url=source.url,
            hint="the document belongs to another version of the file",
        )


def _inlined(
    variable: Variable, dtype: np.dtype[Any], data: bytes, *, plain: bool = False
) -> Array:
    """Return an array of values that are kept in the set."""
    chunk = encode_inline(data, dtype.itemsize if dtype.names is None and dtype.kind != "S" else 1)
    if plain:
        chunk = chunk._replace(data=data, filters=(), compressor=None)
    return Array(
        variable.shape,
        tuple(max(1, extent) for extent in variable.shape),
        dtype,
        chunk.table(variable.shape),
        filters=chunk.filters,
        compressor=chunk.compressor,
        dimension_names=variable.dimensions,
    )


def _record(variable: Variable) -> np.dtype[Any]:
    """Return the records of a structure of numbers, whose members leave no gaps.

    Raises
    ------
    UnsupportedError
        If a member is anything else, or the document does not tell where members lie; code
        ``dmrpp-structure``.
    """
    fields: list[Any] = []
    found = variable.element.child(f"{DMRPP}chunks")
    order = "<" if found is None or found.attributes.get("byteOrder") != "BE" else ">"
    for child in variable.element.children:
        kind = child.kind
        if kind in NUMBERS:
            shape = [dimension.attributes.get("size", "") for dimension in child.all("Dim")]
            if not all(
                size.isascii() and size.isdigit() and 0 < int(size) < 2**31 for size in shape
            ):
                raise _structure("has members along shared dimensions")
            extents = tuple(map(int, shape))
            base = order + NUMBERS[kind]
            fields.append((child.name, base, extents) if extents else (child.name, base))
        elif kind in (*TEXTS, "Structure", "Sequence", "Opaque", "Enum"):
            raise _structure(f"has a member of the type {kind}")
    names = [name for name, *_ in fields]
    if not fields or len(set(names)) != len(names) or not all(names):
        raise _structure("has no members, or two of one name")
    dtype = np.dtype(fields)
    if any(len(field) > 2 for field in fields):
        raise _structure("has members that are arrays")
    told = "" if found is None else found.attributes.get("structOffset", "")
    ends = np.cumsum([dtype[name].itemsize for name in dtype.names or ()]).tolist()
    offsets = [int(text) for text in re.findall(r"\d{1,9}", told)]
    if told and offsets not in (ends, [0, *ends[:-1]], [0, *ends], ends[:-1]):
        raise _structure(f"has gaps between its members: {told!r:.80}")
    rows = variable.element.chunks if found is None else found.chunks
    plain = found is None or not found.attributes.get("compressionType")
    told_bytes = [row.get("nBytes", "") for row in rows]
    if (
        plain
        and len(rows) == 1
        and told_bytes[0] != str(math.prod(variable.shape) * dtype.itemsize)
    ):
        raise _structure(f"has {told_bytes[0]} bytes in all, not those of its members")
    if not plain and not told:
        raise _structure("is compressed, and the document does not say where its members lie")
    return dtype


def _structure(why: str) -> UnsupportedError:
    return UnsupportedError(
        f"a structure that {why}", code="dmrpp-structure", hint="scan the data file itself"
    )
