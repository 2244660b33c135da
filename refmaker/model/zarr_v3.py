"""Zarr version 3 metadata documents of arrays and groups, as plain dicts.

Implements the Zarr core specification, version 3, for chunks as they lie in the files: the same
bytes that version 2 documents describe. What version 3 cannot say, or says differently in
different implementations, is refused.

========================  ===========================================================
version 2                 version 3
========================  ===========================================================
byte order of the dtype   ``endian`` of the codec ``bytes``; in records little only
``order`` F               codec ``transpose``
filters and compressor    codecs ``numcodecs.<id>`` from bytes to bytes, in order
others of references      codec ``refmaker.numcodec`` (`refmaker.codecs.zarr3`)
``vlen-utf8``             data type ``string``, codec ``vlen-utf8``
fill value null           zero or NaT: version 3 always has one
fill value                also the attribute ``_FillValue``, as xarray writes it
``_ARRAY_DIMENSIONS``     ``dimension_names``
none                      chunks of different lengths: chunk grid ``rectilinear``
                          (zarr-extensions), and the codec ``refmaker.crop`` where chunks
                          are padded though others follow them
none                      files packed each in its own way: codec ``refmaker.pieces``, alone
========================  ===========================================================
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.attribute_types import TYPES
from refmaker.model.dtypes import encode_fill_value
from refmaker.model.edges import Edges, runs_document
from refmaker.model.missing_values import FILL, missing_document
from refmaker.model.record_dtypes import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = [
    "BYTES_CODECS",
    "CROP",
    "HIDDEN",
    "PIECES",
    "array_document_v3",
    "consolidated_v3",
    "convention_of_version_3",
    "documents_v3",
    "group_document_v3",
    "hidden_attributes",
    "in_pieces",
    "needs_version_3",
    "zarr_format_of",
]

BYTES_CODECS = frozenset(
    {
        "adler32", "blosc", "bz2", "crc32", "crc32c", "fletcher32", "gzip", "jenkins_lookup3",
        "lz4", "lzma", "shuffle", "zlib", "zstd",
    }
)  # fmt: skip
"""Codecs of numcodecs that turn bytes into bytes, in version 3 as in version 2."""
CROP = "refmaker.crop"
"""Codec that leaves out the padding of chunks; `refmaker.codecs.zarr3`."""
PIECES = "refmaker.pieces"
"""Codec of packed chunks, each file's packed in its own way; `refmaker.codecs.pieces`."""
_KEEP = "keep this set as JSON or Parquet, which hold Zarr version 2"
_PLAIN = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
HIDDEN = (TYPES, RECORD)
"""Attributes that readers of version 2 hide."""


def zarr_format_of(group: Group) -> int:
    """Return the version of Zarr that a set is written in where none is asked for.

    It is 2, which all readers of references know, but where only 3 can say what is there, or
    where metadata follow a convention of version 3: NGFF 0.5 and what is later, GeoZarr.
    """
    return 3 if needs_version_3(group) or convention_of_version_3(group) else 2


def needs_version_3(group: Group) -> bool:
    """Tell whether version 2 cannot say what is there."""
    return any(array.edges is not None or in_pieces(array) for _, array in group.arrays())


def convention_of_version_3(group: Group) -> str:
    """Return the convention that metadata follow and that is one of version 3; "" if none."""
    for _, node in group.walk():
        ome = node.attributes.get("ome") if isinstance(node, Group) else None
        if isinstance(ome, dict) and isinstance(ome.get("version"), str):
            return f"NGFF {ome['version']}"
        if "zarr_conventions" in node.attributes:
            return "GeoZarr"
    return ""


def in_pieces(array: Array) -> bool:
    """Tell whether chunks of an array are packed each in its own way."""
    return any(codec.get("id") == PIECES for codec in array.codecs)


def documents_v3(group: Group) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key and content of every metadata document below a root group.

    Raises
    ------
    UnsupportedError, MetadataError
        If version 3 cannot say the same; names the array or group.
    """
    for path, node in group.walk():
        if any(part.startswith("__") for part in path.split("/")):
            raise UnsupportedError(
                "Zarr version 3 reserves names that begin with '__'", code="zarr3-name", path=path
            )
        try:
            document = array_document_v3(node) if isinstance(node, Array) else None
        except (UnsupportedError, MetadataError) as error:
            raise error.located(path=path) from error
        key = f"{path}/zarr.json" if path else "zarr.json"
        yield key, group_document_v3(node) if isinstance(node, Group) else document or {}


def consolidated_v3(documents: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the document of the root group with all others in it, so that one is read for all.

    Parameters
    ----------
    documents : mapping of str to dict
        As `documents_v3` yields them.
    """
    inner = {key.rpartition("/")[0]: content for key, content in documents.items()}
    root = inner.pop("")
    return {
        **root,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": inner},
    }


def group_document_v3(group: Group) -> dict[str, Any]:
    """Return the ``zarr.json`` of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": _shown(group.attributes)}


def array_document_v3(array: Array) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array.

    Raises
    ------
    UnsupportedError
        If version 3 has no data type or codec for it; code ``zarr3-dtype`` or ``zarr3-codec``.
    MetadataError
        If a value is none of the dtype.
    """
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [int(extent) for extent in array.shape],
        "data_type": _data_type(array.dtype),
        "chunk_grid": _chunk_grid(array),
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _fill_value(array.fill_value, array.dtype),
        "codecs": _codecs(array),
        "attributes": _attributes(array),
    }
    if array.dimension_names is not None:
        document["dimension_names"] = list(array.dimension_names)
    return document


def _chunk_grid(array: Array) -> dict[str, Any]:
    if array.edges is None:
        extents = [int(extent) for extent in array.chunk_shape]
        return {"name": "regular", "configuration": {"chunk_shape": extents}}
    # Every dimension as a list, also where one number would do: icechunk takes no other form.
    # Full chunks, too: what is behind the array's end is padded along dimensions without edges.
    shapes = [
        runs_document(_decoded_lengths(_along(array, axis))) or [int(array.chunk_shape[axis])]
        for axis in range(len(array.shape))
    ]
    configuration = {"kind": "inline", "chunk_shapes": shapes}
    return {"name": "rectilinear", "configuration": configuration}


def _along(array: Array, axis: int) -> Edges:
    along = None if array.edges is None else array.edges[axis]
    if along is not None:
        return along
    return Edges.of_regular(array.shape[axis], array.chunk_shape[axis])


def _decoded_lengths(along: Edges) -> NDArray[np.int64]:
    """Return what the grid says: how far apart chunks begin; the last one may be padded."""
    lengths = along.lengths.copy()
    lengths[-1:] = along.stored[-1:]
    return lengths


def _crop(array: Array) -> list[dict[str, Any]]:
    """Return the codec that leaves out the padding of chunks that others follow."""
    shape = _stored_shape(array)
    return [] if shape is None else [{"name": CROP, "configuration": {"chunk_shape": shape}}]


def _stored_shape(array: Array) -> list[Any] | None:
    """Return the extents that chunks are stored with; None if they are those that they hold."""
    alongs = [_along(array, axis) for axis in range(len(array.shape))]
    if array.edges is None or not any(along.padded for along in alongs):
        return None
    if array.dtype.hasobject:
        raise UnsupportedError(
            "texts in padded chunks that others follow",
            code="zarr3-codec",
            hint="leave the variable out (`drop=...`)",
        )
    shape = [_stored_document(along) if along.padded else None for along in alongs]
    combinations = product(*({*along.stored.tolist()} for along in alongs if along.padded))
    sizes = [math.prod(sizes) for sizes in combinations]
    if len(set(sizes)) < len(sizes):
        raise UnsupportedError(
            "padded chunks of several lengths along several dimensions, of which some have equally"
            " many elements",
            code="zarr3-crop",
            hint="leave the variable out (`drop=...`)",
        )
    # The codec stands behind the one that reverses dimensions.
    return shape[::-1] if array.order == "F" else shape


def _stored_document(along: Edges) -> Any:
    first = int(along.stored[0])
    return first if bool(np.all(along.stored == first)) else runs_document(along.stored)


def _data_type(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return "bool"
    if dtype.kind in _PLAIN and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        return f"{_PLAIN[dtype.kind]}{8 * dtype.itemsize}"
    if dtype.kind == "O":
        return "string"
    if dtype.kind == "S" and dtype.itemsize:
        return {
            "name": "null_terminated_bytes",
            "configuration": {"length_bytes": dtype.itemsize},
        }
    if dtype.kind == "U" and dtype.itemsize:
        return {"name": "fixed_length_utf32", "configuration": {"length_bytes": dtype.itemsize}}
    if dtype.kind in "mM":
        unit, scale = np.datetime_data(dtype)
        if unit != "generic":
            kind = "datetime64" if dtype.kind == "M" else "timedelta64"
            return {
                "name": f"numpy.{kind}",
                "configuration": {"unit": unit, "scale_factor": scale},
            }
    if dtype.names is not None and _little(dtype):
        fields = [[name, _data_type(dtype.fields[name][0])] for name in dtype.names]  # type: ignore[index]
        return {"name": "structured", "configuration": {"fields": fields}}
    if dtype.kind == "V" and dtype.names is None and dtype.subdtype is None and dtype.itemsize:
        return {"name": "raw_bytes", "configuration": {"length_bytes": dtype.itemsize}}
    raise UnsupportedError(
        f"Zarr version 3 has no data type for {dtype}",
        code="zarr3-dtype",
        hint=_KEEP,
    )


def _little(dtype: np.dtype[Any]) -> bool:
    """Whether all fields are little-endian: zarr takes no other order inside of records."""
    if dtype.names is not None:
        return all(_little(dtype.fields[name][0]) for name in dtype.names)  # type: ignore[index]
    return dtype.newbyteorder("<") == dtype


def _fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    if value is None:
        # What zarr takes where a version 2 document has none.
        value = "" if dtype.kind == "O" else np.zeros((), dtype)[()]
        value = np.array("NaT", dtype)[()] if dtype.kind in "mM" else value
    return encode_fill_value(value, dtype)


def _codecs(array: Array) -> list[dict[str, Any]]:
    rest = list(array.codecs)
    if in_pieces(array):
        (codec,) = rest
        configuration = {key: value for key, value in codec.items() if key != "id"}
        stored = _stored_shape(array)
        more = {} if stored is None else {"chunk_shape": stored}
        return [{"name": PIECES, "configuration": configuration | more}]
    found: list[dict[str, Any]] = []
    if array.order == "F" and len(array.shape) > 1:
        order = list(range(len(array.shape)))[::-1]
        found.append({"name": "transpose", "configuration": {"order": order}})
    if array.dtype.kind == "O":
        if not rest or rest.pop(0).get("id") != "vlen-utf8":
            raise UnsupportedError(
                "objects that are not texts of variable length", code="zarr3-codec"
            )
        found.append({"name": "vlen-utf8"})
    else:
        found.append(_bytes_codec(array.dtype))
    return [*found, *_crop(array), *(_bytes_to_bytes(codec) for codec in rest)]


def _bytes_codec(dtype: np.dtype[Any]) -> dict[str, Any]:
    # "=" and "<" are the same on all machines that this runs on; big-endian ones say so.
    # Records of single bytes are the same in both orders.
    order = dtype.newbyteorder("<") != dtype
    single = dtype.itemsize == 1 or (dtype.kind in "SV" and dtype.names is None)
    endian = {"configuration": {"endian": "big" if order else "little"}}
    return {"name": "bytes"} if single else {"name": "bytes", **endian}


def _bytes_to_bytes(codec: Mapping[str, Any]) -> dict[str, Any]:
    name = codec.get("id")
    if isinstance(name, str) and name.startswith(("refmaker.", "imagecodecs_")):
        return {"name": "refmaker.numcodec", "configuration": dict(codec)}
    if name not in BYTES_CODECS:
        raise UnsupportedError(
            f"Zarr version 3 has no codec for {name!r}",
            code="zarr3-codec",
            hint=_KEEP,
        )
    configuration = {key: value for key, value in codec.items() if key != "id"}
    return {"name": f"numcodecs.{name}", "configuration": configuration}


def _attributes(array: Array) -> dict[str, Any]:
    """Return the attributes, with the missing value as xarray expects it in version 3.

    In version 2 xarray takes the fill value for it; in version 3 it takes the attribute
    ``_FillValue`` alone, in which floating point numbers are encoded.
    """
    attributes = _shown(array.attributes)
    missing = attributes.pop(FILL, None) if array.fill_value is None else array.fill_value
    attributes.pop(FILL, None)
    if missing is None or array.dtype.kind not in "biuf":
        # Of others xarray decodes none, or masks complex numbers to real ones.
        return attributes
    try:
        value = np.asarray(missing, array.dtype)[()]
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"{FILL} {missing!r} is no value of {array.dtype}") from error
    return attributes | {FILL: missing_document(value, array.dtype)}


def hidden_attributes(group: Group) -> dict[str, dict[str, Any]]:
    """Return by path what documents of version 3 leave out of attributes, as readers show all.

    Sets hold it elsewhere; it tells the types of other attributes and of records.
    """
    found = {
        path: {name: node.attributes[name] for name in HIDDEN if name in node.attributes}
        for path, node in group.walk()
    }
    return {path: kept for path, kept in found.items() if kept}


def _shown(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without what tells of types, which xarray hides in version 2 only."""
    return {name: value for name, value in attributes.items() if name not in HIDDEN}
