"""Stores of both versions for tests, written by zarr."""

import os
import warnings
import zipfile

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec


def values(shape, dtype, seed=0):
    """Return values that are no fill value, and differ from one another."""
    found = np.random.default_rng(seed).integers(1, 100, shape)
    return found.astype(dtype)


def write(path, version, *, consolidated=False, separator=None):
    """Write a store with groups and arrays of several kinds, a chunk of each never written."""
    root = zarr.open_group(str(path), mode="w", zarr_format=version)
    root.attrs.update({"title": "a store", "numbers": [1, 2.5, None], "nested": {"a": [1]}})
    names = {"dimension_names": ("y", "x")} if version == 3 else {}
    keys = {"chunk_key_encoding": {"name": "v2" if version == 2 else "default",
                                   "separator": separator}} if separator else {}  # fmt: skip
    plain = root.create_array(
        "plain", shape=(50, 70), chunks=(20, 30), dtype="<i2", fill_value=-1, **names, **keys
    )
    plain[:40] = values((40, 70), "i2")
    plain.attrs.update({"units": "m", "valid_range": [0, 5]})
    if version == 2:
        plain.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    big = root.create_array(
        "group/big", shape=(9, 5, 4), chunks=(3, 5, 2), dtype=">f8", compressors=None
    )
    big[3:] = values((6, 5, 4), "f8")
    root["group"].attrs["about"] = "group"
    scalar = root.create_array("group/inner/scalar", shape=(), dtype="f4")
    scalar[...] = 2.5
    root.create_array("group/inner/empty", shape=(0, 3), chunks=(1, 3), dtype="u1")
    root.create_array("never", shape=(7,), chunks=(2,), dtype="f4", fill_value=float("nan"))
    if version == 3:
        shards(root, "sharded")
        shards(root, "sharded_start", location="start")
    if consolidated:
        consolidate(path)
    return path


def consolidate(path):
    """Consolidate the metadata of a store; zarr warns of it in version 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(path))


def shards(root, name, *, location="end", shape=(25, 14), codecs=None, dtype="i4", checked=True):
    """Add an array with shards, of which one and some inner chunks are never written."""
    index = [BytesCodec(), Crc32cCodec()] if checked else [BytesCodec()]
    sharding = ShardingCodec(
        chunk_shape=(4, 3),
        codecs=codecs or [BytesCodec(), ZstdCodec()],
        index_codecs=index,
        index_location=location,
    )
    array = root.create_array(
        name, shape=shape, dtype=dtype, chunks=(8, 6), serializer=sharding, compressors=None,
        filters=None, fill_value=0,
    )  # fmt: skip
    array[:8, :6] = values((8, 6), dtype)
    array[12:, 3:] = values((shape[0] - 12, shape[1] - 3), dtype)
    return array


def document_of(path):
    """Return the document that stands for a store."""
    names = ("zarr.json", ".zmetadata", ".zgroup", ".zarray")
    return next(path / name for name in names if (path / name).exists())


def pack(folder, path, *, compress=(), prefix="", skip=()):
    """Put a store into a zip archive, documents first."""
    files = sorted(
        (file for file in folder.rglob("*") if file.is_file() and file.name not in skip),
        key=lambda file: (not file.name.startswith((".z", "zarr")), str(file)),
    )
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            name = prefix + file.relative_to(folder).as_posix()
            deflate = any(name.endswith(end) for end in compress)
            how = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            archive.write(file, name, how)
    return path


def members(path):
    """Return paths of all groups and arrays as zarr sees them, documents consolidated or not."""
    root = zarr.open(str(path), mode="r")
    if not hasattr(root, "members"):
        return {"data"}
    return {"/", *(name for name, _ in root.members(max_depth=None))}


def below(path):
    """Return all files in the folder of a document, but for itself."""
    found = (os.path.join(base, name) for base, _, names in os.walk(path.parent) for name in names)
    return [type(path)(name) for name in found if name != str(path)]


GZIP = [BytesCodec(endian="big"), GzipCodec(level=1)]
