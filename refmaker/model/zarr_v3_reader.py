"""Zarr version 3 metadata documents, back to groups and arrays: the inverse of `zarr_v3`.

What other programs write is read as well, as far as version 2 can say the same of the same bytes:
the codecs of the core specification, version 3, and those that numcodecs registers. Whatever
cannot be said (shards, codecs of others, storage transformers) is refused by name.
"""

from __future__ import annotations

import base64
import logging
import re
import reprlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.dtypes import fill_from_document
from refmaker.model.edges import Edges, runs_from_document
from refmaker.model.missing_values import FILL, missing_from_document, number_of
from refmaker.model.zarr_v2 import COMPRESSORS, current_codec
from refmaker.model.zarr_v3 import BYTES_CODECS, CROP, PIECES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "KeyEncoding",
    "array_from_document_v3",
    "chunk_grid_v3",
    "codec_from_document_v3",
    "group_from_document_v3",
    "key_encoding_v3",
]

log = logging.getLogger(__name__)

_RANK_LIMIT = 32
_FIELDS_MOST = 4096
_DEEPEST = 16
_PLAIN = re.compile(r"(bool)|(u?int)(8|16|32|64)|(float)(16|32|64)|(complex)(64|128)")
_KINDS = {"int": "i", "uint": "u", "float": "f", "complex": "c"}
_UNITS = frozenset({"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "μs", "ns", "ps", "fs", "as"})
_ELEMENTS = frozenset({"bitround", "delta", "fixedscaleoffset", "quantize"})
"""Codecs of numcodecs from elements to elements, which version 2 has as filters."""
_BLOSC = ("cname", "clevel", "blocksize")
_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_OURS = ("refmaker.", "imagecodecs_")
_MEMBERS = frozenset(
    {
        *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding"),
        *("fill_value", "codecs", "attributes", "dimension_names", "storage_transformers"),
        "consolidated_metadata",
    }
)


class KeyEncoding(NamedTuple):
    """How the keys of an array's chunks are written.

    Parameters
    ----------
    prefix : str
        What stands before the numbers, ``"c"`` or nothing.
    separator : {"/", "."}
        Between them.
    """

    prefix: str
    separator: str

    def key(self, at: Sequence[int]) -> str:
        """Return the key of the chunk at a position in the grid, below the array's path."""
        if not at:
            return self.prefix or "0"
        numbers = self.separator.join(str(int(i)) for i in at)
        return f"{self.prefix}{self.separator}{numbers}" if self.prefix else numbers


def key_encoding_v3(document: Mapping[str, Any]) -> KeyEncoding:
    """Return how an array's chunk keys are written.

    Raises
    ------
    UnsupportedError
        If the document names another way than ``default`` and ``v2``; code ``zarr3-keys``.
    """
    name, config = _named(document.get("chunk_key_encoding", "default"), "chunk_key_encoding")
    separator = config.get("separator", "/" if name == "default" else ".")
    if name not in ("default", "v2") or separator not in ("/", "."):
        raise UnsupportedError(
            f"the chunk key encoding {name!r} with the separator {separator!r}", code="zarr3-keys"
        )
    return KeyEncoding("c" if name == "default" else "", separator)


def group_from_document_v3(
    document: Mapping[str, Any], members: Mapping[str, Array | Group] | None = None
) -> Group:
    """Return the group that a ``zarr.json`` describes.

    Parameters
    ----------
    document : mapping
        The document; ``consolidated_metadata`` in it are passed over.

    Raises
    ------
    MetadataError, UnsupportedError
        If the document is not that of a group, or asks to be understood where it is not.
    """
    _check_node(document, "group")
    return Group({} if members is None else members, dict(_attributes(document)))


def array_from_document_v3(document: Mapping[str, Any], chunks: ChunkTable | None = None) -> Array:
    """Return the array that a ``zarr.json`` describes.

    Parameters
    ----------
    chunks : ChunkTable, optional
        Its chunks; none at all by default.

    Returns
    -------
    Array
        Its fill value is the one that absent chunks have, None where that is the value that
        version 3 writes for none. xarray does not take it for a missing value in version 3, as
        it does in version 2: `refmaker.codecs.fill_value.settle_fill` makes both hold once it is
        known which chunks are absent. The attribute ``_FillValue`` is a number.

    Raises
    ------
    MetadataError
        If the document is not that of an array.
    UnsupportedError
        If version 2 cannot say the same; code ``zarr3-codec``, ``zarr3-sharding``,
        ``zarr3-dtype``, ``zarr3-grid`` or ``zarr3-extension``.
    """
    _check_node(document, "array")
    shape = _extents(document.get("shape"), "shape")
    order, endian, crop, codecs = _codecs(document.get("codecs"), len(shape))
    chunk_shape, edges = _grid(document, shape, crop)
    dtype = _dtype(document.get("data_type"))
    if dtype.hasobject != (endian is None):
        raise UnsupportedError(
            f"elements of type {dtype} in the codec 'bytes' or other than 'vlen-utf8'",
            code="zarr3-codec",
        )
    if endian == "big":
        if dtype.names is not None:
            raise UnsupportedError("records that are big-endian", code="zarr3-dtype")
        dtype = dtype.newbyteorder(">")
    _check_elements(codecs, dtype, order)
    compressor = codecs[-1] if codecs and codecs[-1]["id"] in COMPRESSORS else None
    names = _dimension_names(document.get("dimension_names"), len(shape))
    return Array(
        shape,
        chunk_shape,
        dtype,
        ChunkTable.empty(_counts(shape, chunk_shape, edges)) if chunks is None else chunks,
        fill_value=_fill_value(document.get("fill_value"), dtype),
        order=order,
        filters=tuple(codecs[: len(codecs) - (compressor is not None)]),
        compressor=compressor,
        dimension_names=names,
        attributes=_with_missing(_attributes(document), dtype),
        edges=edges,
    )


def chunk_grid_v3(document: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the number of chunks along each dimension, whatever else the document says.

    Raises
    ------
    MetadataError, UnsupportedError
        If shape and chunk grid are none.
    """
    shape = _extents(document.get("shape"), "shape")
    return _counts(shape, *_grid(document, shape, None))


def _counts(
    shape: tuple[int, ...], sizes: tuple[int, ...], edges: tuple[Edges | None, ...] | None
) -> tuple[int, ...]:
    grid = chunk_grid(shape, sizes)
    if edges is None:
        return grid
    pairs = zip(edges, grid, strict=True)
    return tuple(n if along is None else along.count for along, n in pairs)


def _named(value: Any, what: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and configuration of an extension point, which may be a name alone."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        config = value.get("configuration", {})
        if isinstance(config, dict):
            return value["name"], config
    raise MetadataError(f"{what!r} is none: {reprlib.repr(value)}")


def _check_node(document: Mapping[str, Any], kind: str) -> None:
    if document.get("zarr_format") != 3:
        raise MetadataError(f"Zarr format {document.get('zarr_format')!r}, expected 3")
    if document.get("node_type") != kind:
        raise MetadataError(f"a node of type {document.get('node_type')!r}, expected {kind!r}")
    for name, value in document.items():
        ignorable = isinstance(value, dict) and value.get("must_understand") is False
        if name not in _MEMBERS and not ignorable:
            raise UnsupportedError(
                f"the member {name!r}, which has to be understood", code="zarr3-extension"
            )
    if document.get("storage_transformers"):
        raise UnsupportedError("storage transformers", code="zarr3-extension")


def _attributes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = document.get("attributes", {})
    if not isinstance(attributes, dict):
        raise MetadataError("'attributes' is no JSON object")
    return attributes


def _extents(value: Any, what: str, least: int = 0) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(
        isinstance(extent, int) and not isinstance(extent, bool) and least <= extent < 2**63
        for extent in value
    ):
        raise MetadataError(f"{what!r} is not a list of extents: {reprlib.repr(value)}")
    if len(value) > _RANK_LIMIT:
        raise MetadataError(f"{len(value)} dimensions, at most {_RANK_LIMIT} are possible")
    return tuple(value)


def _grid(
    document: Mapping[str, Any], shape: tuple[int, ...], crop: Sequence[Any] | None
) -> tuple[tuple[int, ...], tuple[Edges | None, ...] | None]:
    """Return the extents of a stored chunk, and edges where chunks are of different lengths."""
    name, config = _named(document.get("chunk_grid"), "chunk_grid")
    parts: list[Any]
    if name == "regular":
        parts = list(_extents(config.get("chunk_shape"), "chunk_shape", 1))
    elif name == "rectilinear" and config.get("kind") == "inline":
        parts = config.get("chunk_shapes")  # type: ignore[assignment]
    else:
        raise UnsupportedError(f"the chunk grid {name!r}", code="zarr3-grid")
    if not isinstance(parts, list) or len(parts) != len(shape):
        raise MetadataError(f"{len(shape)} dimensions in chunks of {reprlib.repr(parts)}")
    if crop is not None and len(crop) != len(shape):
        raise MetadataError(f"{len(shape)} dimensions, chunks cut along {len(crop)}")
    found = [
        _edges(part, extent, stored)
        for part, extent, stored in zip(parts, shape, crop or [None] * len(shape), strict=True)
    ]
    sizes = tuple(n if isinstance(n, int) else n.largest for n in found)
    edges = tuple(None if isinstance(n, int) else n for n in found)
    return sizes, edges if any(along is not None for along in edges) else None


def _edges(part: Any, extent: int, crop: Any) -> int | Edges:
    """Return the chunks along one dimension: one extent, or edges."""
    if type(part) is int:
        (size,) = _extents([part], "chunk_shape", 1)
        if crop is None or crop == size:
            return size
        lengths = Edges.of_regular(extent, size).stored
    else:
        lengths = runs_from_document(part)
    if not lengths.size:
        raise MetadataError("a dimension without chunks")
    if not extent:
        return int(lengths[0])
    total = int(lengths.sum())
    before = total - int(lengths[-1])
    if not before < extent <= total:
        raise MetadataError(
            f"{lengths.size} chunks of {total} elements along a dimension of {extent}"
        )
    held, stored = lengths.copy(), lengths
    held[-1] = extent - before
    if crop is not None:
        sizes = runs_from_document(crop if isinstance(crop, list) else [crop])
        stored = np.full(lengths.size, sizes[0]) if sizes.size == 1 else sizes
    found = Edges(held, stored)
    return found.largest if found.regular else found


def _dimension_names(names: Any, rank: int) -> tuple[str, ...] | None:
    if names is None or (isinstance(names, list) and names and set(map(repr, names)) == {"None"}):
        return None
    if not isinstance(names, list) or len(names) != rank:
        raise MetadataError(f"'dimension_names' are none: {reprlib.repr(names)}")
    if not all(name is None or isinstance(name, str) for name in names):
        raise MetadataError(f"'dimension_names' are none: {reprlib.repr(names)}")
    if None in names:
        # Neither version 2 nor xarray have a word for that.
        log.warning("names of some dimensions only are left out: %s", reprlib.repr(names))
        return None
    return tuple(names)


def _codecs(
    value: Any, rank: int
) -> tuple[str, str | None, Sequence[Any] | None, list[dict[str, Any]]]:
    """Return the order of elements, their byte order (None of texts), their crop, the rest."""
    if not isinstance(value, list) or not value:
        raise MetadataError("'codecs' is not a list of codecs")
    rest = [_named(codec, "codec") for codec in value]
    if rest[0][0] == PIECES:
        return _pieces(rest)
    order = "C"
    found: list[dict[str, Any]] = []
    while rest:
        name, config = rest.pop(0)
        if name == "transpose":
            order = _transposed(config.get("order"), rank, order)
        elif name == "bytes":
            endian = config.get("endian", "little")
            if endian not in ("little", "big"):
                raise MetadataError(f"the byte order {endian!r}")
            crop = _crop(rest.pop(0)[1], order) if rest and rest[0][0] == CROP else None
            found += [codec_from_document_v3(*codec) for codec in rest]
            return order, endian, crop, found
        elif name == "vlen-utf8" and not found:
            texts = {"id": "vlen-utf8"}
            return order, None, None, [texts, *(codec_from_document_v3(*c) for c in rest)]
        elif name.removeprefix("numcodecs.") in _ELEMENTS:
            found.append({**config, "id": name.removeprefix("numcodecs.")})
        else:
            raise _unknown(name)
    raise MetadataError("no codec makes bytes of the elements")


def _pieces(
    codecs: list[tuple[str, Mapping[str, Any]]],
) -> tuple[str, str, Sequence[Any] | None, list[dict[str, Any]]]:
    (_, config), *rest = codecs
    if rest:
        raise MetadataError(f"codecs behind {PIECES}")
    inner = {key: value for key, value in config.items() if key != "chunk_shape"}
    stored = config.get("chunk_shape")
    if stored is not None and not isinstance(stored, list):
        raise MetadataError(f"{PIECES}: {reprlib.repr(stored)} are no extents of chunks")
    return "C", "little", stored, [{**inner, "id": PIECES}]


def _crop(config: Mapping[str, Any], order: str) -> Sequence[Any]:
    extents = config.get("chunk_shape")
    if config.keys() != {"chunk_shape"} or not isinstance(extents, list):
        raise MetadataError(f"{CROP} without 'chunk_shape' alone: {reprlib.repr(config)}")
    # It is given dimensions in the order in which they are stored.
    return extents[::-1] if order == "F" else extents


def _transposed(order: Any, rank: int, before: str) -> str:
    if order == "C" or order == list(range(rank)):
        return before
    if order == "F" or order == list(range(rank))[::-1]:
        return "F" if before == "C" else "C"
    raise UnsupportedError(
        f"a transposition {reprlib.repr(order)}, which is none of all dimensions",
        code="zarr3-codec",
    )


def codec_from_document_v3(name: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a codec from bytes to bytes as a configuration of numcodecs.

    Parameters
    ----------
    name : str
        As in ``codecs``.

    Raises
    ------
    UnsupportedError
        If numcodecs and this package have none that decodes the same; code ``zarr3-codec``, or
        ``zarr3-sharding`` for shards.
    """
    config = dict(configuration)
    if name == "refmaker.numcodec":
        if not str(config.get("id")).startswith(_OURS):
            raise UnsupportedError(
                f"the codec {reprlib.repr(config.get('id'))} in {name}", code="zarr3-codec"
            )
        return current_codec(config)
    plain = name.removeprefix("numcodecs.")
    if name != plain and plain in BYTES_CODECS:
        return {**config, "id": plain}
    if name == "blosc":
        shuffle = config.get("shuffle", "noshuffle")
        if shuffle not in _SHUFFLES:
            raise MetadataError(f"the shuffle {shuffle!r:.80} of blosc")
        kept: dict[str, Any] = {
            key: config[key] for key in ("cname", "clevel", "blocksize") if key in config
        }
        return {"id": "blosc", **kept, "shuffle": _SHUFFLES[shuffle]}
    if name in ("gzip", "zstd", "crc32c"):
        return {**config, "id": name}
    raise _unknown(name)


def _unknown(name: str) -> UnsupportedError:
    if name == "sharding_indexed":
        return UnsupportedError(
            "shards, which hold several chunks with an index of their own", code="zarr3-sharding"
        )
    return UnsupportedError(f"the Zarr version 3 codec {name!r:.120}", code="zarr3-codec")


def _check_elements(codecs: Sequence[Mapping[str, Any]], dtype: np.dtype[Any], order: str) -> None:
    """Refuse filters of elements whose bytes would be seen in another order by version 2."""
    for codec in codecs:
        if codec["id"] not in _ELEMENTS:
            continue
        types = [codec[key] for key in ("dtype", "astype") if codec.get(key) is not None]
        told = codec["id"] == "bitround" or "dtype" in codec
        plain = all(isinstance(t, str) and not t.startswith(">") for t in types)
        if order == "F" or not told or not plain or dtype.newbyteorder("<") != dtype:
            raise UnsupportedError(
                f"the codec 'numcodecs.{codec['id']}' of {dtype}, in order {order}",
                code="zarr3-codec",
            )


def _dtype(value: Any, depth: int = 0) -> np.dtype[Any]:
    """Return the data type, little-endian."""
    name, config = _named(value, "data_type")
    plain = _PLAIN.fullmatch(name)
    if plain is not None:
        kind, bits = [part for part in plain.groups() if part] if name != "bool" else ("", "")
        return np.dtype(bool) if name == "bool" else np.dtype(f"<{_KINDS[kind]}{int(bits) // 8}")
    if name == "string":
        return np.dtype(object)
    raw = re.fullmatch(r"r(\d{1,6})", name)
    if raw is not None and int(raw[1]) % 8 == 0 and int(raw[1]):
        return np.dtype(f"V{int(raw[1]) // 8}")
    if name in ("null_terminated_bytes", "raw_bytes", "fixed_length_utf32"):
        return _sized(name, config.get("length_bytes"))
    if name in ("numpy.datetime64", "numpy.timedelta64"):
        return _time(name, config.get("unit"), config.get("scale_factor", 1))
    if name in ("struct", "structured") and depth < _DEEPEST:
        return _record(config.get("fields"), depth)
    raise UnsupportedError(f"the data type {reprlib.repr(value)}", code="zarr3-dtype")


def _sized(name: str, length: Any) -> np.dtype[Any]:
    if not isinstance(length, int) or isinstance(length, bool) or not 0 < length < 2**31:
        raise MetadataError(f"the data type {name!r} of {length!r:.80} bytes")
    if name == "fixed_length_utf32":
        if length % 4:
            raise MetadataError(f"text of {length} bytes in UTF-32")
        return np.dtype(f"<U{length // 4}")
    return np.dtype(f"{'S' if name == 'null_terminated_bytes' else 'V'}{length}")


def _time(name: str, unit: Any, scale: Any) -> np.dtype[Any]:
    if unit not in _UNITS or not isinstance(scale, int) or not 0 < scale < 2**31:
        raise UnsupportedError(
            f"the data type {name!r} in {reprlib.repr(unit)}", code="zarr3-dtype"
        )
    kind = "M8" if name == "numpy.datetime64" else "m8"
    return np.dtype(f"<{kind}[{scale}{unit.replace('μs', 'us')}]")


def _record(fields: Any, depth: int) -> np.dtype[Any]:
    if not isinstance(fields, list) or not 0 < len(fields) <= _FIELDS_MOST:
        raise MetadataError("a record without fields")
    found = []
    for field in fields:
        pair = (field.get("name"), field.get("data_type")) if isinstance(field, dict) else field
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise MetadataError(f"a field {reprlib.repr(field)}")
        inner = _dtype(pair[1], depth + 1)
        if inner.hasobject:
            raise UnsupportedError("texts of variable length in records", code="zarr3-dtype")
        found.append((pair[0], inner))
    try:
        return np.dtype(found)
    except ValueError as error:
        raise MetadataError(f"the fields of a record: {error}") from error


def _fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of absent chunks; None for what version 3 writes where none is declared."""
    if value is None:
        raise MetadataError("a Zarr version 3 array without 'fill_value'")
    try:
        found = _scalar(value, dtype)
    except (TypeError, ValueError, KeyError, OverflowError, struct.error) as error:
        raise MetadataError(f"{value!r:.200} is not a fill value of {dtype}") from error
    if dtype.hasobject:
        return found or None
    if dtype.kind in "mM":
        return None if np.isnat(found) else found
    # As bytes: minus zero is another value than zero.
    return found if any(np.asarray(found, dtype).tobytes()) else None


def _scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    if dtype.names is not None and isinstance(value, dict | list):
        named = value if isinstance(value, dict) else dict(zip(dtype.names, value, strict=True))
        parts = tuple(_scalar(named[name], dtype[name]) for name in dtype.names)
        return np.array(parts, dtype)[()]
    if dtype.kind == "f" and isinstance(value, str) and value.startswith("0x"):
        bits = int(value, 16).to_bytes(dtype.itemsize, "little")
        return np.frombuffer(bits, dtype.newbyteorder("<"))[0].astype(dtype.newbyteorder("="))
    if dtype.kind == "c" and isinstance(value, list) and len(value) == 2:
        half = np.dtype(f"<f{dtype.itemsize // 2}")
        return dtype.type(complex(*(_scalar(part, half) for part in value)))
    if dtype.kind == "V" and isinstance(value, list):
        value = base64.b64encode(bytes(value)).decode("ascii")
    return fill_from_document(value, dtype)


def _with_missing(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return attributes with ``_FillValue`` as a number, which xarray encodes for floats."""
    found = dict(attributes)
    if FILL in found:
        found[FILL] = missing_from_document(found[FILL], dtype)
        if dtype.kind == "f" and isinstance(number_of(found[FILL]), str):
            raise MetadataError(f"the attribute {FILL!r} is {found[FILL]!r:.80}")
    return found
