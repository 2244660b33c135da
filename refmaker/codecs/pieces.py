"""What the codec ``refmaker.pieces`` says: along one dimension, how each file packed its chunks.

An array of packed values from many files, each with a scale and an offset of its own, has one
type and one meaning only once it is decoded. The codec has the packing of every file, and is told
by a chunk's key of which file it is.

=================  ==========================================================================
member             what it says
=================  ==========================================================================
``axis``           the dimension
``chunks``         chunks of each file along it, or runs of files with as many: ``[31, [30, 2]]``
``data_type``      type of the packed values, as in version 2 of Zarr
``order``          "C" or "F"
``codecs``         how chunks are encoded, as configurations of numcodecs
``missing``        packed values that stand for missing ones
``scale_factor``   base64 of a float of 8 bytes for each file, little-endian; or absent
``add_offset``     likewise
``decoded``        the type that each file's values decode to, in runs: ``[["<f4", 31]]``
``unsigned``       whether ``_Unsigned`` was set
``chunk_shape``    extents that chunks are stored with; see `refmaker.codecs.crop.stored_extents`
=================  ==========================================================================
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.packing import Packing
from refmaker.errors import MetadataError
from refmaker.model.edges import runs_document, runs_from_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["PIECES", "Pieces", "parsed_pieces", "pieces_codec", "pieces_of"]

PIECES = "refmaker.pieces"
_MOST = 1 << 24
"""Files along a dimension."""
_TYPES = ("<f4", "<f8")


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The packing of every chunk along a dimension.

    Parameters
    ----------
    axis : int
        The dimension.
    chunks : ndarray of int64, shape (files,)
        Chunks of each file along it.
    dtype : numpy.dtype
        Of the packed values as they are stored.
    order : {"C", "F"}
        Order of the elements inside a chunk.
    codecs : tuple of mapping
        How chunks are encoded.
    packing : tuple of Packing
        That of each file.
    """

    axis: int
    chunks: NDArray[np.int64]
    dtype: np.dtype[Any]
    order: str
    codecs: tuple[Mapping[str, Any], ...]
    packing: tuple[Packing, ...]

    @property
    def decoded(self) -> np.dtype[Any]:
        """Type of the array: that to which those of all files are promoted."""
        return np.result_type(*{one.decoded for one in self.packing})

    def of_chunk(self, number: int) -> Packing:
        """Return the packing of a chunk, by its number along the dimension."""
        return self.packing[int(np.searchsorted(np.cumsum(self.chunks), number, side="right"))]


def pieces_of(codecs: Sequence[Mapping[str, Any]]) -> Pieces | None:
    """Return the packings that an array's codecs say; None of an array that has none.

    Raises
    ------
    MetadataError
        If the codec is not the only one, or as for `parsed_pieces`.
    """
    if not any(codec.get("id") == PIECES for codec in codecs):
        return None
    if len(codecs) != 1:
        raise MetadataError(f"{PIECES} beside other codecs")
    return parsed_pieces(codecs[0])


def parsed_pieces(config: Mapping[str, Any]) -> Pieces:
    """Return the packings that a configuration says.

    Raises
    ------
    MetadataError
        If it says nothing that can be.
    """
    try:
        return _parsed(config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MetadataError(f"{PIECES}: {error!r:.200}") from error


def pieces_codec(pieces: Pieces) -> dict[str, Any]:
    """Return the codec's configuration; the inverse of `pieces_of`."""
    first = pieces.packing[0]
    found: dict[str, Any] = {
        "id": PIECES,
        "axis": pieces.axis,
        "chunks": runs_document(pieces.chunks),
        "data_type": pieces.dtype.str,
        "order": pieces.order,
        "codecs": [dict(codec) for codec in pieces.codecs],
        "missing": list(first.missing),
        "unsigned": first.raw.kind == "u" and pieces.dtype.kind == "i",
        "decoded": _type_runs([one.decoded for one in pieces.packing]),
    }
    for name in ("scale_factor", "add_offset"):
        values = [getattr(one, name) for one in pieces.packing]
        if values[0] is not None:
            found[name] = base64.b64encode(np.array(values, "<f8").tobytes()).decode()
    return found


def _type_runs(types: Sequence[np.dtype[Any]]) -> list[list[Any]]:
    runs: list[list[Any]] = []
    for dtype in types:
        name = dtype.newbyteorder("<").str
        if runs and runs[-1][0] == name:
            runs[-1][1] += 1
        else:
            runs.append([name, 1])
    return runs


def _parsed(config: Mapping[str, Any]) -> Pieces:
    chunks = runs_from_document(config["chunks"])
    axis, order, dtype = config["axis"], config["order"], np.dtype(str(config["data_type"]))
    if type(axis) is not int or axis < 0 or order not in ("C", "F") or dtype.kind not in "iu":
        raise ValueError("no axis, order or type of integers")
    if not 0 < chunks.size <= _MOST:
        raise ValueError(f"{chunks.size} files")
    codecs = config["codecs"]
    if not isinstance(codecs, list) or not all(isinstance(c, dict) and "id" in c for c in codecs):
        raise ValueError("'codecs' are none")
    raw = np.dtype(f"u{dtype.itemsize}") if config["unsigned"] else dtype.newbyteorder("=")
    limits = np.iinfo(raw)
    missing = tuple(config["missing"])
    if not all(type(m) is int and limits.min <= m <= limits.max for m in missing):
        raise ValueError(f"missing values {missing!r:.80}")
    scale, offset = (_numbers(config, n, chunks.size) for n in ("scale_factor", "add_offset"))
    if scale is None and offset is None:
        raise ValueError("neither 'scale_factor' nor 'add_offset'")
    types = _types(config["decoded"], chunks.size)
    none: list[float | None] = [None] * chunks.size
    rows = zip(scale or none, offset or none, types, strict=True)
    packing = tuple(Packing(s, o, t, missing, raw) for s, o, t in rows)
    return Pieces(axis, chunks, dtype, order, tuple(codecs), packing)


def _numbers(config: Mapping[str, Any], name: str, files: int) -> list[float] | None:
    if name not in config:
        return None
    data = base64.b64decode(config[name], validate=True)
    if len(data) != 8 * files:
        raise ValueError(f"{name!r} has {len(data)} bytes, not 8 for each of {files} files")
    values = np.frombuffer(data, "<f8")
    if not bool(np.isfinite(values).all()):
        raise ValueError(f"{name!r} is not finite")
    found: list[float] = values.tolist()
    return found


def _types(runs: Any, files: int) -> list[np.dtype[Any]]:
    found: list[np.dtype[Any]] = []
    for name, n in runs:
        if name not in _TYPES or type(n) is not int or not 0 < n <= files - len(found):
            raise ValueError(f"decoded types {runs!r:.80}")
        found += [np.dtype(name)] * n
    if len(found) != files:
        raise ValueError(f"decoded types of {len(found)} of {files} files")
    return found
