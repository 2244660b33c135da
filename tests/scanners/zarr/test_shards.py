"""Inner chunks of shards against zarr; damaged indices."""

import itertools
import json

import google_crc32c
import numpy as np
import pytest
import zarr
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)

import refmaker
from refmaker.testing import open_stock
from refmaker.testing.damage import damaged, misdeeds
from tests.scanners.verified import verified
from tests.scanners.zarr.stores import pack, shards, values

SHAPES = [((25,), (8,), (4,)), ((25, 14), (8, 6), (4, 3)), ((9, 10, 11), (4, 6, 8), (2, 3, 4))]
CODECS = {
    "plain": [],
    "zstd": [ZstdCodec()],
    "blosc": [BloscCodec(typesize=4, shuffle="bitshuffle")],
    "gzip": [GzipCodec(level=1)],
    "crc": [Crc32cCodec()],
}


def store(path, **how):
    root = zarr.create_group(str(path), zarr_format=3)
    return shards(root, "a", **how)


def scanned(path):
    refs = refmaker.scan(path, inline_threshold=0)
    assert not refs.report.skipped, refs.report.skipped
    return refs


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">f4", "<f8", "<c8", "bool"])
@pytest.mark.parametrize("codecs", CODECS)
def test_values_of_inner_chunks(codecs, dtype, tmp_path):
    number = itertools.count()
    for (shape, outer, inner), location in itertools.product(SHAPES, ("start", "end")):
        path = tmp_path / str(next(number))
        endian = "big" if dtype[0] == ">" else "little"
        serializer = ShardingCodec(
            chunk_shape=inner,
            codecs=[BytesCodec(endian=endian), *CODECS[codecs]],
            index_location=location,
        )
        array = zarr.create_array(
            str(path), shape=shape, chunks=outer, dtype=dtype, serializer=serializer,
            compressors=None, filters=None, fill_value=0,
        )  # fmt: skip
        true = values(shape, "i2").astype(dtype)
        true[tuple(slice(extent) for extent in inner)] = 0
        array[...] = true
        refs = scanned(path)
        found = refs.group["data"]
        assert found.chunk_shape == inner
        assert found.chunks.absent >= 1
        assert np.array_equal(open_stock(refs.group)["data"][...], true)


def test_an_order_of_elements_in_inner_chunks(tmp_path):
    codecs = [TransposeCodec(order=(1, 0)), BytesCodec(), ZstdCodec()]
    array = store(tmp_path / "a.zarr", codecs=codecs)
    refs = scanned(tmp_path / "a.zarr")
    assert refs.group["a"].order == "F"
    assert np.array_equal(open_stock(refs.group)["a"][...], array[...])


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("location", ["start", "end"])
def test_in_an_archive(location, checked, tmp_path):
    array = store(tmp_path / "a.zarr", location=location, checked=checked)
    pack(tmp_path / "a.zarr", tmp_path / "a.zarr.zip")
    refs = scanned(tmp_path / "a.zarr.zip")
    assert refs.group["a"].chunks.urls == (str(tmp_path / "a.zarr.zip"),)
    assert np.array_equal(open_stock(refs.group)["a"][...], array[...])
    assert list(refs.report.sources) == [str(tmp_path / "a.zarr.zip")]


def shard(tmp_path, change):
    """Write a store, change the bytes of its first shard, and return the row of what is refused."""
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / "a" / "c" / "0" / "0"
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))
    refs = refmaker.scan(tmp_path / "a.zarr")
    (row,) = refs.report.skipped
    assert row.path == "/a"
    assert str(path) in row.reason
    assert not list(refs.group.arrays())
    return row


def entry(data, number, offset, length):
    """Change an entry of the index of a shard of 2 x 2 inner chunks, with its checksum."""
    at = len(data) - 4 - 64 + 16 * number
    data[at : at + 16] = np.array([offset, length], "<u8").tobytes()
    data[-4:] = google_crc32c.value(bytes(data[-68:-4])).to_bytes(4, "little")
    return data


@pytest.mark.parametrize("at", [-1, -4, -5, -68])
def test_a_wrong_byte_in_an_index(at, tmp_path):
    def change(data):
        data[at] ^= 1
        return data

    assert "checksum" in shard(tmp_path, change).reason


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 10**6), (10**6, 1), (2**63, 8), (8, 2**64 - 1), (2**64 - 8, 16)]
)
def test_an_index_that_names_bytes_beyond_its_shard(offset, length, tmp_path):
    row = shard(tmp_path, lambda data: entry(data, 1, offset, length))
    assert "beyond its end" in row.reason


@pytest.mark.parametrize("length", [1, 60, 67])
def test_a_shard_that_is_shorter_than_its_index(length, tmp_path):
    assert "whose index has 68" in shard(tmp_path, lambda data: data[:length]).reason


def test_entries_of_one_half_are_not_absent(tmp_path):
    row = shard(tmp_path, lambda data: entry(data, 0, 2**64 - 1, 0))
    assert "beyond its end" in row.reason


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_shape": [3, 3]},
        {"chunk_shape": [4]},
        {"chunk_shape": [0, 3]},
        {"index_location": "middle"},
        {"index_codecs": [{"name": "bytes"}, {"name": "zstd"}]},
        {"index_codecs": []},
        {"codecs": [{"name": "sharding_indexed", "configuration": {}}]},
        {"chunk_shape": [1, 1]},
    ],
)
def test_damaged_or_unknown_configurations(change, tmp_path):
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / "a" / "zarr.json"
    document = json.loads(path.read_text())
    document["codecs"][0]["configuration"].update(change)
    path.write_text(json.dumps(document))
    refs = refmaker.scan(tmp_path / "a.zarr")
    assert [row.path for row in refs.report.skipped] == ["/a"]


def nested(folder, locations):
    """Write shards in shards, with a part of either size that is not there."""
    codecs = [BytesCodec(), ZstdCodec()]
    for location, extents in zip(locations, ((5, 10), (10, 20)), strict=True):
        shard = ShardingCodec(chunk_shape=extents, codecs=codecs, index_location=location)
        codecs = [shard]
    numbers = np.arange(1, 3501, dtype="i4").reshape(50, 70)
    numbers[:10, :20], numbers[20:25, :10] = 0, 0
    array = zarr.create_array(
        str(folder), shape=(50, 70), dtype="i4", chunks=(20, 40), serializer=shard,
        compressors=None, filters=None, fill_value=0,
    )  # fmt: skip
    array[...] = numbers
    return numbers


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("outer", ["start", "end"])
@pytest.mark.parametrize("inner", ["start", "end"])
def test_shards_in_shards(inner, outer, archive, tmp_path):
    numbers = nested(tmp_path / "a.zarr", (inner, outer))
    path = pack(tmp_path / "a.zarr", tmp_path / "a.zarr.zip") if archive else tmp_path / "a.zarr"
    data = verified(path, inline_threshold=0).group["data"]
    assert data.chunk_shape == (5, 10)
    assert (data.chunks.referenced, data.chunks.absent) == (65, 5)
    assert np.array_equal(open_stock(refmaker.scan(path).group)["data"][...], numbers)


def test_a_wrong_byte_in_the_index_of_a_shard_in_a_shard(tmp_path):
    nested(tmp_path / "a.zarr", ("start", "end"))
    shard = tmp_path / "a.zarr" / "c" / "1" / "0"
    data = bytearray(shard.read_bytes())
    data[int.from_bytes(data[-68:-60], "little")] ^= 1
    shard.write_bytes(data)
    (row,) = refmaker.scan(tmp_path / "a.zarr").report.skipped
    assert "wrong checksum" in row.reason
    assert row.code == "zarr-chunk"


def test_shards_deeper_than_any_are_refused(tmp_path):
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / "a" / "zarr.json"
    document = json.loads(path.read_text())
    inner = document["codecs"]
    for _ in range(5):
        config = {**document["codecs"][0]["configuration"], "codecs": inner}
        inner = [{"name": "sharding_indexed", "configuration": config}]
    path.write_text(json.dumps({**document, "codecs": inner}))
    (row,) = refmaker.scan(tmp_path / "a.zarr").report.skipped
    assert row.code == "zarr3-codec"


def test_shards_between_other_codecs(tmp_path):
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / "a" / "zarr.json"
    document = json.loads(path.read_text())
    document["codecs"].append({"name": "zstd", "configuration": {"level": 0}})
    path.write_text(json.dumps(document))
    (row,) = refmaker.scan(tmp_path / "a.zarr").report.skipped
    assert row.code == "zarr3-codec"


def test_broken_shards_and_archives_are_refused_or_read_soundly(tmp_path):
    from refmaker.scanners.zarr import ZarrScanner

    store(tmp_path / "a.zarr")
    paths = []
    whole = (tmp_path / "a.zarr" / "a" / "c" / "0" / "0").read_bytes()
    root = (tmp_path / "a.zarr" / "zarr.json").read_bytes()
    document = (tmp_path / "a.zarr" / "a" / "zarr.json").read_bytes()
    for i, data in enumerate(damaged(whole)):
        folder = tmp_path / f"broken{i}.zarr"
        (folder / "a" / "c" / "0").mkdir(parents=True)
        (folder / "zarr.json").write_bytes(root)
        (folder / "a" / "zarr.json").write_bytes(document)
        (folder / "a" / "c" / "0" / "0").write_bytes(data)
        paths.append(folder / "zarr.json")
    for i, data in enumerate(damaged(document, seed=1)):
        folder = tmp_path / f"told{i}.zarr"
        (folder / "a" / "c" / "0").mkdir(parents=True)
        (folder / "zarr.json").write_bytes(root)
        (folder / "a" / "zarr.json").write_bytes(data)
        (folder / "a" / "c" / "0" / "0").write_bytes(whole)
        paths.append(folder / "zarr.json")
    archive = pack(tmp_path / "a.zarr", tmp_path / "a.zip").read_bytes()
    # The directory of an archive lies at its end.
    for i, data in enumerate(damaged(archive[::-1], seed=2)):
        (tmp_path / f"{i}.zip").write_bytes(data[::-1])
        paths.append(tmp_path / f"{i}.zip")
    assert misdeeds(ZarrScanner(), paths, isolated=False) == []
