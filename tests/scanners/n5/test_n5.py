"""Values, names and refusals of N5 containers against TensorStore."""

import json
import struct

import imagecodecs
import numpy as np
import pytest

import refmaker
from refmaker.codecs.n5 import N5
from refmaker.errors import CodecError, FormatError, MetadataError
from refmaker.io.source import Source
from refmaker.scanners.n5 import N5Scanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.n5.containers import COMPRESSIONS, group, read, write
from tests.scanners.verified import verified

TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
SHAPES = {1: ((7,), (3,)), 2: ((6, 8), (3, 4)), 3: ((5, 6, 7), (2, 6, 4)), 4: ((2, 3, 4, 5),) * 2}


def scan(folder, **fields):
    with Source(folder / "attributes.json") as source:
        return N5Scanner().scan(source, ScanOptions(**fields))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_values_of_every_type(dtype, compression, tmp_path):
    for rank, (shape, blocks) in SHAPES.items():
        values = np.random.default_rng(1).integers(1, 100, shape).astype(dtype)
        folder = write(tmp_path / str(rank), values, blocks, compression)
        group, _ = scan(folder)
        assert np.array_equal(read(folder), values)
        assert np.array_equal(open_stock(group)["data"][...], values)
        assert group["data"].dtype == np.dtype(dtype).newbyteorder(">")
        assert group["data"].fill_value is None


def test_whole_blocks_need_no_codec_of_ours(tmp_path):
    values = np.arange(48, dtype="u2").reshape(6, 8)
    data = scan(write(tmp_path / "a", values, (3, 4), "gzip"))[0]["data"]
    assert data.compressor == {"id": "gzip", "level": 1}
    assert data.chunks.get((0, 0)).offset == 12
    data = scan(write(tmp_path / "b", values, (3, 5), "gzip"))[0]["data"]
    assert data.compressor["id"] == "refmaker.n5"


def test_blocks_lie_where_their_names_say(tmp_path):
    values = np.arange(48, dtype="u1").reshape(6, 8)
    data = scan(write(tmp_path / "a", values, (3, 4), "raw"))[0]["data"]
    assert data.chunks.get((0, 1)).url == str(tmp_path / "a" / "1" / "0")
    assert data.dimension_names == ("data_0", "data_1")


def test_groups_axes_and_attributes(tmp_path):
    top = group(tmp_path / "x.n5", n5="2.5.1", said=[1, {"b": None}])
    values = np.ones((4, 6), "i2")
    write(top / "m" / "s0", values, (4, 6), axes=["x", "y"], pixelResolution=[4, 8])
    write(top / "m" / "s1", values[::2, ::2], (2, 3), axes=["x", "y"], downsamplingFactors=[2, 2])
    write(top / "t" / "a", values, (4, 6), axes=["x", "y"])
    refs = verified(str(top))
    found = refs.group
    assert found.attributes["said"] == [1, {"b": None}]
    assert found["m"]["s0"].dimension_names == ("s0_y", "s0_x")
    assert found["t"]["a"].dimension_names == ("y", "x")
    assert found["m"]["s0"].attributes == {"axes": ["x", "y"], "pixelResolution": [4, 8]}
    assert {row.path for row in refs.report.rows} == {"/", "/m/s0", "/m/s1", "/t/a"}


@pytest.mark.parametrize("blocks", [(3, 4), (4, 5)])
@pytest.mark.parametrize("compression", ["gzip", "raw", "blosc"])
def test_blocks_that_are_not_there_read_as_zeros(compression, blocks, tmp_path):
    values = np.arange(1, 49, dtype="i4").reshape(6, 8)
    folder = write(tmp_path / "a", values, blocks, compression)
    (folder / "1" / "0").unlink()
    group, report = scan(folder)
    true = read(folder)
    assert true[0, -1] == 0
    assert np.array_equal(open_stock(group)["data"][...], true)
    assert not report.warnings
    assert group["data"].fill_value is None
    with refmaker.open_dataset(refmaker.scan(str(folder), isolate="never")) as opened:
        assert np.array_equal(opened["data"], true)
        assert opened["data"].dtype.kind == "i"


@pytest.mark.parametrize("method", [0x10, 0x20])
@pytest.mark.parametrize("blocks", [(3, 4), (4, 5)])
def test_lz4_of_java(blocks, method, tmp_path):
    values = np.arange(48, dtype="i4").reshape(6, 8)
    folder = write(tmp_path / "a", values, blocks, "raw")
    document = json.loads((folder / "attributes.json").read_text())
    document["compression"] = {"type": "lz4", "blockSize": 16}
    (folder / "attributes.json").write_text(json.dumps(document))
    for block in folder.glob("*/*"):
        data = block.read_bytes()
        packed = data[:12]
        for at in range(12, len(data), 16):
            part = data[at : at + 16]
            raw = part if method == 0x10 else imagecodecs.lz4_encode(part, header=False)
            packed += struct.pack("<8sBIII", b"LZ4Block", method | 6, len(raw), len(part), 0) + raw
        block.write_bytes(packed + struct.pack("<8sBIII", b"LZ4Block", 0x16, 0, 0, 0))
    assert np.array_equal(open_stock(scan(folder)[0])["data"][...], values)


@pytest.mark.parametrize("told", [{"compressionType": "gzip"}, {"compression": "gzip"}])
def test_the_first_version(told, tmp_path):
    values = np.arange(48, dtype="i4").reshape(6, 8)
    folder = write(tmp_path / "a", values, (3, 5), "gzip")
    document = json.loads((folder / "attributes.json").read_text())
    del document["compression"]
    (folder / "attributes.json").write_text(json.dumps(document | told))
    assert np.array_equal(open_stock(scan(folder)[0])["data"][...], values)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("dataType", "object", "n5-type"), ("dataType", 3, "n5-type"),
        ("compression", {"type": "jpeg"}, "n5-compression"), ("compression", [], "n5-compression"),
        ("dimensions", [6, -1], "n5-dataset"), ("dimensions", 6, "n5-dataset"),
        ("dimensions", [], "n5-dataset"), ("dimensions", [2**70, 1], "n5-dataset"),
        ("blockSize", [6], "n5-dataset"), ("blockSize", [0, 1], "n5-dataset"),
        ("blockSize", [2**31, 2**31], "n5-dataset"), ("blockSize", [True, 3], "n5-dataset"),
    ],
)  # fmt: skip
def test_what_is_refused_by_name(name, value, code, tmp_path):
    top = group(tmp_path / "x.n5", n5="2.0.0")
    folder = write(top / "a", np.ones((6, 8), "i2"), (3, 4))
    write(top / "b", np.ones((6, 8), "i2"), (3, 4))
    document = json.loads((folder / "attributes.json").read_text())
    (folder / "attributes.json").write_text(json.dumps(document | {name: value}))
    found, report = scan(top)
    assert set(found.members) == {"b"}
    assert [(row.path, row.code) for row in report.skipped] == [("/a", code)]


@pytest.mark.parametrize("text", ["{", "[]", '{"a": ' * 3000, "\xff"])
def test_documents_that_are_none(text, tmp_path):
    top = group(tmp_path / "x.n5", n5="2.0.0")
    write(top / "b", np.ones((6, 8), "i2"), (3, 4))
    (top / "a").mkdir()
    (top / "a" / "attributes.json").write_bytes(text.encode("latin-1"))
    found, report = scan(top)
    assert set(found.members) == {"b"}
    assert [(row.path, row.code) for row in report.skipped] == [("/a", "n5-metadata")]
    (top / "attributes.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError):
        scan(top)


def test_empty_and_stray_files(tmp_path):
    folder = write(tmp_path / "a", np.ones((6, 8), "i2"), (3, 4), "raw")
    (folder / "9").mkdir()
    (folder / "9" / "0").write_bytes(b"x")
    (folder / "note.txt").write_bytes(b"x")
    _, report = scan(folder)
    assert sum("files in it that are" in text for text in report.warnings) == 2
    (folder / "1" / "1").write_bytes(b"")
    _, report = scan(folder)
    assert "has no bytes" in report.skipped[0].reason


@pytest.mark.parametrize("blocks", [(3, 4), (4, 5)])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damaged_blocks_are_errors_or_the_same(compression, blocks, tmp_path):
    values = np.random.default_rng(3).integers(0, 9, (6, 8)).astype("u2")
    folder = write(tmp_path / "a", values, blocks, compression)
    block = folder / "1" / "1"
    whole = block.read_bytes()
    for length in range(1, len(whole)):
        block.write_bytes(whole[:length])
        with pytest.raises((CodecError, ValueError, RuntimeError, EOFError, OSError)):
            _ = refmaker.open_group(refmaker.scan(str(folder), isolate="never"))["data"][...]


@pytest.mark.parametrize("header", [">HHII", ">HHIIx"], ids=["as it is", "with a byte more"])
@pytest.mark.parametrize("fields", [(2, 2, 4, 3), (0, 3, 4, 3), (0, 2, 5, 3), (0, 2, 0, 3)])
def test_headers_that_do_not_fit(fields, header, tmp_path):
    block = struct.pack(header, *fields) + bytes(24)
    with pytest.raises(CodecError):
        N5([3, 4], 2).decode(block)


def test_blocks_that_count_their_elements():
    values = np.arange(6, dtype=">u2")
    block = struct.pack(">HHIII", 1, 2, 3, 2, 6) + values.tobytes()
    found = N5([3, 4], 2).decode(block).view(">u2").reshape(3, 4)
    assert np.array_equal(found[:2, :3], values.reshape(2, 3))
    assert not found[2:].any()
    with pytest.raises(CodecError, match="number of elements"):
        N5([3, 4], 2).decode(struct.pack(">HHIII", 1, 2, 3, 2, 7) + values.tobytes())


@pytest.mark.parametrize(
    "config",
    [
        {"shape": [], "itemsize": 2}, {"shape": 3, "itemsize": 2}, {"shape": [0], "itemsize": 2},
        {"shape": [2**20] * 2, "itemsize": 2}, {"shape": [3], "itemsize": 9},
        {"shape": [3], "itemsize": 2, "codec": {"id": "pickle"}},
        {"shape": [3], "itemsize": 2, "codec": "gzip"},
    ],
)  # fmt: skip
def test_configurations_that_cannot_be(config):
    with pytest.raises(MetadataError):
        N5(**config)


def test_a_bomb_is_not_unpacked():
    import gzip

    block = struct.pack(">HHI", 0, 1, 4) + gzip.compress(bytes(10**8))
    with pytest.raises(CodecError, match="more"):
        N5([4], 1, {"id": "gzip"}).decode(block)


def test_only_n5_is_taken_for_it(tmp_path):
    group(tmp_path / "x", said=1)
    (tmp_path / "x" / "y.txt").write_text("no")
    scanner = N5Scanner()
    assert scanner.sniff(b'{"said": 1}', "x/attributes.json") == 0
    assert scanner.sniff(b'{"a": {"n5": "2.0.0"}}', "x/attributes.json") == 0
    assert scanner.sniff(b'{"n5": 1}', "x/attributes.json") == 0
    assert scanner.sniff(b'{"n5": "2.0.0"}', "x/attributes.json") > 0
    with pytest.raises(FormatError):
        refmaker.scan(str(tmp_path / "x" / "attributes.json"))


def test_a_container_is_named_by_its_folder(tmp_path):
    top = group(tmp_path / "x.n5", n5="2.0.0")
    values = np.arange(48, dtype="i4").reshape(6, 8)
    write(top / "a", values, (4, 5))
    verified(str(top)).write(tmp_path / "x.json")
    read = refmaker.open_group(str(tmp_path / "x.json"))["a"]
    assert np.array_equal(read, values)
