"""Filter pipelines of other people's files."""

import functools
import math

import h5py
import hdf5plugin  # noqa: F401 - its filters are needed to read the files
import numpy as np
import pytest
from numcodecs.registry import get_codec

from refmaker.errors import CodecError, UnsupportedError
from refmaker.scanners.hdf5.filters import encoding_for, read_pipeline
from tests.corpora import CORPUS
from tests.scanners.hdf5.hdf5_pipelines import chunks_of, decode, ids, part

NUMBERS = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)


def filtered_files():
    index = CORPUS / "INDEX.tsv"
    if not index.exists():
        return []
    rows = (line.split("\t") for line in index.read_text().splitlines()[1:])
    return [row[0] for row in rows if row[0].startswith("hdf5/") and "filter:" in row[-1]]


def test_real_files():
    """Every filtered dataset of the corpus decodes to what HDF5 reads, or is refused by name."""
    names = filtered_files()
    if not names:
        pytest.skip("the corpus is not there; see REFMAKER_CORPUS")
    seen, refused = set(), []
    for name in names:
        with h5py.File(CORPUS / name, "r") as file:
            found = []
            file.visit(found.append)
            for dataset in map(functools.partial(opened, file), found):
                if isinstance(dataset, h5py.Dataset) and dataset.chunks:
                    check_real(dataset, seen, refused)
    assert {"zlib", "shuffle", "fletcher32", "blosc", "zstd", "imagecodecs_lz4h5"} <= seen
    assert {"refmaker.hdf5_bitshuffle", "refmaker.hdf5_zfp", "refmaker.hdf5_lzf"} <= seen
    assert {"refmaker.hdf5_filters", "refmaker.hdf5_blosc2", "imagecodecs_szip"} <= seen
    assert {"refmaker.hdf5_scaleoffset", "refmaker.hdf5_nbit", "compared with h5py"} <= seen
    assert {"corrupt", "newer than the plugin"} <= seen
    assert {error.code for error in refused} <= {"filter-unknown", "filter-undecodable"}


def opened(file, name):
    """Open an object, unless this version of HDF5 refuses its datatype."""
    try:
        return file[name]
    except KeyError:
        return None


def check_real(dataset, seen, refused):
    pipeline = read_pipeline(dataset.id.get_create_plist())
    infos, lengths, masks = chunks_of(dataset)
    itemsize = dataset.id.get_type().get_size()
    if not pipeline or not infos or dataset.dtype.hasobject:
        return  # references into the heap: their size in the file is not that in memory
    nbytes = math.prod(dataset.chunks) * itemsize
    if dataset.id.get_create_plist().get_layout() == h5py.h5d.CHUNKED and edge_unfiltered(
        dataset, lengths, nbytes
    ):
        return
    try:
        encoding = encoding_for(
            pipeline,
            lengths,
            masks,
            dtype=dataset.dtype,
            itemsize=itemsize,
            chunk_shape=dataset.chunks,
        )
    except UnsupportedError as error:
        refused.append(error)
        return
    seen |= ids(encoding.codecs)
    stub = {
        "id": "refmaker.hdf5_filters",
        "filters": [[entry.id, list(entry.values)] for entry in pipeline],
        "nbytes": nbytes,
    }
    for index, info in list(enumerate(infos))[:: max(1, len(infos) // 8)]:
        raw = dataset.id.read_direct_chunk(info.chunk_offset)[1]
        if index in encoding.inline:
            continue
        try:
            wanted, inside = part(dataset, info.chunk_offset)
        except OSError:
            if "original" in dataset.parent:  # ZFP 1.0.0: the plugin has no eye for the future
                original = dataset.parent["original"][: dataset.chunks[0]]
                found = decode(encoding.codecs, raw).view(dataset.dtype)
                assert index or np.abs(found - original).max() < 0.01
                seen.add("newer than the plugin")
                continue
            # Corrupt, says HDF5: so must we.
            with pytest.raises((CodecError, RuntimeError)):
                decode(encoding.codecs, raw)
            seen.add("corrupt")
            continue
        direct = decode(encoding.codecs, raw)
        assert direct.size == nbytes
        # HDF5's own decoding of the same bytes: an oracle also for types that numpy lacks.
        kept = get_codec(dict(stub)).without(info.filter_mask)
        assert direct.tobytes() == bytes(kept.decode(raw)), dataset.file.filename
        kind = dataset.id.get_type()
        if isinstance(kind, NUMBERS) and kind.get_precision() == 8 * dataset.dtype.itemsize:
            found = direct.view(dataset.dtype).reshape(dataset.chunks)[inside]
            assert found.tobytes() == wanted.tobytes(), (dataset.file.filename, dataset.name)
            seen.add("compared with h5py")


def edge_unfiltered(dataset, lengths, nbytes):
    """Tell whether partial edge chunks were stored unfiltered: only the layout message says it."""
    return "edge_v3" in dataset.file.filename and bool((lengths == nbytes).any())
