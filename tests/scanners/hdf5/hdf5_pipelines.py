"""Helpers of the filter tests: files in memory, and chunks decoded in two ways."""

import io

import h5py
import numpy as np
from numcodecs.registry import get_codec

from refmaker.codecs import register
from refmaker.scanners.hdf5.filters import encoding_for, read_pipeline

register()


def reopened(build):
    """Build a file in memory and open it anew, so that no value comes from a cache."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        build(file)
    return h5py.File(io.BytesIO(image.getvalue()), "r")


def chunks_of(dataset):
    infos = []
    dataset.id.chunk_iter(infos.append)
    lengths = np.array([info.size for info in infos], np.uint64)
    masks = np.array([info.filter_mask for info in infos], np.uint32)
    return infos, lengths, masks


def decode(configs, raw):
    """Decode as Zarr does: arrays of bytes go in, the last filter first."""
    chunk = np.frombuffer(raw, np.uint8)
    for config in reversed(configs):
        chunk = get_codec(dict(config)).decode(chunk)
    return np.ascontiguousarray(np.asarray(memoryview(chunk))).reshape(-1).view(np.uint8)


def part(dataset, offset):
    where = tuple(
        slice(start, start + size) for start, size in zip(offset, dataset.chunks, strict=True)
    )
    wanted = dataset[where]
    return wanted, tuple(slice(length) for length in wanted.shape[: dataset.ndim])


def check(dataset):
    """Compare each chunk, by the codecs chosen and by HDF5 itself; return the codec ids used."""
    pipeline = read_pipeline(dataset.id.get_create_plist())
    infos, lengths, masks = chunks_of(dataset)
    dtype, chunk_shape = dataset.dtype, dataset.chunks
    encoding = encoding_for(
        pipeline, lengths, masks, dtype=dtype, itemsize=dtype.itemsize, chunk_shape=chunk_shape
    )
    for index, info in enumerate(infos):
        raw = dataset.id.read_direct_chunk(info.chunk_offset)[1]
        kept = [f for bit, f in enumerate(pipeline) if not info.filter_mask >> bit & 1]
        stub = {
            "id": "refmaker.hdf5_filters",
            "filters": [[entry.id, list(entry.values)] for entry in kept],
            "nbytes": encoding.nbytes,
        }
        wanted, inside = part(dataset, info.chunk_offset)
        through_hdf5 = decode([stub], raw)
        if index in encoding.inline:
            raw = encoding.inlined(through_hdf5.tobytes())
        direct = decode(encoding.codecs, raw)
        for decoded in (direct, through_hdf5):
            found = decoded.view(dtype).reshape(chunk_shape)[inside]
            assert found.tobytes() == wanted.tobytes()
    return encoding


def ids(configs):
    found = set()
    for config in configs:
        found |= (
            ids(config["filters"]) if config["id"] == "refmaker.hdf5_masked" else {config["id"]}
        )
    return found
