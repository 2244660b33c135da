"""Documents against their granules, read by h5py, netCDF4 and the scanner of HDF5."""

import base64
import re
import shutil
import zlib

import fsspec
import h5py
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.testing import open_stock
from refmaker.testing.http import RangeServer
from tests.scanners.dmrpp.granules import HEAD, document, values, write
from tests.scanners.verified import verified


def told(inner, *, dims='<Dim size="3"/>', kind="Int16", words=""):
    """Return the document of one variable."""
    head = HEAD.format(name='"x"', href='"OPeNDAP_DMRpp_DATA_ACCESS_URL"', version=words)
    return f'{head}<{kind} name="v">{dims}{inner}</{kind}></Dataset>'


def scanned(tmp_path, text, data=b"", **options):
    (tmp_path / "x.h5").write_bytes(data)
    (tmp_path / "x.h5.dmrpp").write_text(text)
    return refmaker.scan(tmp_path / "x.h5.dmrpp", **options)


def read(refs, name="v"):
    return open_stock(refs.group)[name][...]


def refused(refs):
    (row,) = refs.report.skipped
    assert not list(refs.group.arrays())
    return row


@pytest.mark.parametrize("version", ["3.21.1", ""])
@pytest.mark.parametrize("big", [False, True])
def test_every_storage_equals_the_granule(big, version, tmp_path):
    path = write(tmp_path / "a.h5", big=big)
    refs = verified(document(path, version=version), inline_threshold=0)
    assert not refs.report.skipped
    native = refmaker.scan(path, inline_threshold=0)
    for name, array in refs.group.arrays():
        if name in ("texts", "compact"):
            continue
        other = native.group[name]
        assert array.shape == other.shape
        assert array.codecs == other.codecs
        assert array.chunks.same(other.chunks)
        if name != "fixed":  # HDF5's conversion of padding is a codec there
            assert array.dtype == other.dtype
            assert array.attributes == other.attributes, name
    assert refs.group["never"].fill_value in (None, 7)
    assert (read(refs, "never") == 7).all()
    assert (read(refs, "unwritten") == 0).all()
    assert refs.group["plain"].dimension_names == ("lat", "lon")
    assert list(read(refs, "texts")[:4]) == ["short", "short", "", "ö" * 60]


def test_netcdf4_reads_the_same(tmp_path):
    data = xr.Dataset(
        {
            "v": (("time", "y", "x"), np.random.default_rng(0).random((4, 20, 30)).astype("f4"),
                  {"units": "K", "scale": np.float32(2)}),
            "n": (("y",), np.arange(20, dtype="i2")),
        },
        {"time": ("time", np.arange(4.0), {"units": "days since 2000-01-01"})},
        {"title": "t"},
    )  # fmt: skip
    encoding = {
        "v": {"zlib": True, "chunksizes": (1, 20, 30), "_FillValue": -9.0},
        "n": {"_FillValue": -1},
    }
    data.to_netcdf(tmp_path / "a.nc", encoding=encoding, engine="netcdf4")
    refs = verified(document(tmp_path / "a.nc"))
    refs.write(tmp_path / "a.json")
    with (
        refmaker.open_dataset(tmp_path / "a.json") as found,
        xr.open_dataset(tmp_path / "a.nc", engine="netcdf4") as true,
    ):
        xr.testing.assert_identical(found.load(), true.load())
    assert refs.group["v"].attributes["_nczarr_attr"]["types"]["scale"] == "<f4"


def test_documents_are_joined_and_verified(tmp_path):
    for start in (0, 4):
        data = xr.Dataset(
            {"v": (("time", "x"), np.random.default_rng(start).random((4, 500)))},
            {"time": ("time", np.arange(start, start + 4.0))},
        )
        encoding = {"v": {"zlib": True, "chunksizes": (2, 500)}}
        data.to_netcdf(tmp_path / f"{start}.nc", encoding=encoding, engine="netcdf4")
        document(tmp_path / f"{start}.nc")
    mixed = [refmaker.scan(tmp_path / name) for name in ("0.nc.dmrpp", "4.nc")]
    alike = [refmaker.scan(tmp_path / f"{start}.nc.dmrpp") for start in (0, 4)]
    for sets in (mixed, alike):
        refmaker.combine(sets, concat="time").write(tmp_path / "all.json")
        with refmaker.open_dataset(tmp_path / "all.json") as found:
            assert found.sizes["time"] == 8
        checks = refmaker.verify(tmp_path / "all.json", sample=None, isolate="never")
        assert {check.path: check.verdict for check in checks} == {"v": "equal", "time": "equal"}


def test_a_document_of_other_data_is_found_out(tmp_path):
    path = write(tmp_path / "a.h5")
    swapped = document(path, change=lambda text: re.sub(
        r'(<Int32 name="plain">.*?\[)0,0(\].*?\[)0,7(\])', r"\g<1>0,7\g<2>0,0\g<3>", text,
        flags=re.DOTALL,
    ))  # fmt: skip
    checks = {c.path: c for c in refmaker.verify(refmaker.scan(swapped), isolate="never")}
    assert checks["plain"].verdict == "different"
    assert checks["deflated"].verdict == "equal"


def test_byte_order_is_what_the_document_says(tmp_path):
    data = np.array([1, 2, 3], ">i2").tobytes()
    chunk = '<dmrpp:chunk offset="0" nBytes="6"/>'
    big = told(f'<dmrpp:chunks byteOrder="BE">{chunk}</dmrpp:chunks>')
    assert read(scanned(tmp_path, big, data)).tolist() == [1, 2, 3]
    for words in ("", ' byteOrder="LE"'):
        little = told(f"<dmrpp:chunks{words}>{chunk}</dmrpp:chunks>")
        assert read(scanned(tmp_path, little, data)).tolist() == [256, 512, 768]


def test_a_chunk_that_stands_alone(tmp_path):
    text = told('<dmrpp:chunk offset="2" nBytes="6"/>')
    assert read(scanned(tmp_path, text, b"xx" + bytes([1, 0, 2, 0, 3, 0]))).tolist() == [1, 2, 3]


@pytest.mark.parametrize("version", ["", ' dmrpp:version="3.20.13"'])
def test_filters_of_old_documents_are_put_in_order(version, tmp_path):
    true = values((40,), "<i4")
    shuffled = true.view("u1").reshape(40, 4).T.tobytes()
    data = zlib.compress(shuffled)
    text = told(
        '<dmrpp:chunks compressionType="deflate shuffle"><dmrpp:chunkDimensionSizes>40'
        "</dmrpp:chunkDimensionSizes>"
        f'<dmrpp:chunk offset="0" nBytes="{len(data)}" chunkPositionInArray="[0]"/></dmrpp:chunks>',
        kind="Int32", dims='<Dim size="40"/>', words=version,
    )  # fmt: skip
    refs = scanned(tmp_path, text, data)
    if version:
        with pytest.raises(Exception, match=r"."):
            read(refs)
    else:
        assert np.array_equal(read(refs), true)


def test_filters_that_single_chunks_skipped(tmp_path):
    parts = [values((50,), "<i4", seed) for seed in range(3)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("v", shape=(150,), dtype="<i4", chunks=(50,), shuffle=True,
                                   compression="gzip")  # fmt: skip
        for number, part in enumerate(parts):
            shuffled = part.view("u1").reshape(50, 4).T.tobytes()
            stored = [zlib.compress(shuffled), shuffled, zlib.compress(part.tobytes())][number]
            made.id.write_direct_chunk((50 * number,), stored, filter_mask=[0, 2, 1][number])
    refs = verified(document(tmp_path / "a.h5"))
    assert np.array_equal(read(refs), np.concatenate(parts))


@pytest.mark.parametrize("packed", [True, False])
def test_missing_data_stand_in_the_document(packed, tmp_path):
    raw = np.array([1, 2, 3], "<i2").tobytes()
    inner = base64.b64encode(zlib.compress(raw) if packed else raw).decode()
    text = told(f"<dmrpp:missingdata>\n{inner[:4]}\n{inner[4:]}</dmrpp:missingdata>")
    assert read(scanned(tmp_path, text)).tolist() == [1, 2, 3]


@pytest.mark.parametrize("inner", ["AQACAAM=", "AQ", "&&&", "eJxjZGBiYGYAAAAAAA=="])
@pytest.mark.parametrize("name", ["compact", "missingdata"])
def test_damaged_values_in_a_document(name, inner, tmp_path):
    inner = inner.replace("&", "*")
    row = refused(scanned(tmp_path, told(f"<dmrpp:{name}>{inner}</dmrpp:{name}>")))
    assert row.code == "dmrpp-document"


def test_a_bomb_in_missing_data_is_not_unpacked(tmp_path):
    packed = base64.b64encode(zlib.compress(bytes(2**26))).decode()
    row = refused(scanned(tmp_path, told(f"<dmrpp:missingdata>{packed}</dmrpp:missingdata>")))
    assert "7 bytes, 6 are needed" in row.reason


def test_blocks_that_follow_each_other_are_one(tmp_path):
    data = b"..." + np.arange(3, dtype="<i2").tobytes()
    blocks = '<dmrpp:block offset="3" nBytes="2"/><dmrpp:block offset="5" nBytes="4"/>'
    refs = scanned(tmp_path, told(f"<dmrpp:chunks>{blocks}</dmrpp:chunks>"), data)
    assert refs.group["v"].chunks.referenced == 1
    assert read(refs).tolist() == [0, 1, 2]


@pytest.mark.parametrize("packed", [True, False])
def test_blocks_in_several_places_are_put_together(packed, tmp_path):
    raw = np.arange(300, dtype="<i2").tobytes()
    data = zlib.compress(raw) if packed else raw
    file = data[100:] + b"......" + data[:100]
    start = len(data) - 100 + 6
    blocks = f'<dmrpp:block offset="{start}" nBytes="100"/>'
    blocks += f'<dmrpp:block offset="0" nBytes="{len(data) - 100}"/>'
    words = ' compressionType="deflate"' if packed else ""
    text = told(f"<dmrpp:chunks{words}>{blocks}</dmrpp:chunks>", dims='<Dim size="300"/>')
    refs = scanned(tmp_path, text, file)
    assert read(refs).tolist() == list(range(300))
    row = refused(scanned(tmp_path, text, file, inline_budget=50))
    assert row.code == "limit"
    linked = blocks.replace("dmrpp:block", 'dmrpp:chunk LinkedBlockIndex="0"')
    text = told(f"<dmrpp:chunks{words}>{linked}</dmrpp:chunks>", dims='<Dim size="300"/>')
    assert read(scanned(tmp_path, text, file)).tolist() == list(range(300))


def test_chunks_in_other_files(tmp_path):
    (tmp_path / "x.h5_mvs.h5").write_bytes(np.array([7, 8], "<i2").tobytes())
    chunks = (
        "<dmrpp:chunks><dmrpp:chunkDimensionSizes>2</dmrpp:chunkDimensionSizes>"
        '<dmrpp:chunk offset="0" nBytes="4" chunkPositionInArray="[0]"/>'
        '<dmrpp:chunk href="{}" offset="0" nBytes="4" chunkPositionInArray="[2]"/></dmrpp:chunks>'
    )
    data = np.array([5, 6], "<i2").tobytes()
    four = {"dims": '<Dim size="4"/>'}
    refs = scanned(tmp_path, told(chunks.format("x.h5_mvs.h5"), **four), data, inline_threshold=0)
    assert read(refs).tolist() == [5, 6, 7, 8]
    assert set(refs.report.sources) == {
        str(tmp_path / name) for name in ("x.h5.dmrpp", "x.h5", "x.h5_mvs.h5")
    }
    for name, code in (
        ("OPeNDAP_DMRpp_MISSING_DATA_ACCESS_URL", "dmrpp-missing-data"),
        ("../x.h5", "external-outside"),
        ("/etc/passwd", "external-outside"),
        ("https://host/other.h5", "external-outside"),
        ("gone.h5", "dmrpp-data-file"),
    ):
        refs = scanned(tmp_path, told(chunks.format(name), **four), data)
        assert refused(refs).code == code
        assert refs.report.missing == ([str(tmp_path / "gone.h5")] if name == "gone.h5" else [])


def test_texts_of_fixed_length(tmp_path):
    text = told(
        '<dmrpp:FixedLengthStringArray string_length="2" pad="null_pad"/>'
        '<dmrpp:chunks fillValue=""><dmrpp:chunk offset="0" nBytes="6"/></dmrpp:chunks>',
        kind="String",
    )
    assert read(scanned(tmp_path, text, b"abc\0de")).tolist() == [b"ab", b"c", b"de"]


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "dmrpp-string"),
        ("<dmrpp:vStringArray>0:10</dmrpp:vStringArray>", "dmrpp-string"),
        ('<dmrpp:FixedLengthStringArray string_length="0"/>', "dmrpp-document"),
        ("<dmrpp:vlsa><v>a</v></dmrpp:vlsa>", "dmrpp-document"),
        ('<dmrpp:vlsa><v c="4">a</v></dmrpp:vlsa>', "dmrpp-document"),
        ('<dmrpp:vlsa><v c="999999999999">a</v></dmrpp:vlsa>', "dmrpp-document"),
        ('<dmrpp:vlsa><v c="3" s="100000000000">a</v></dmrpp:vlsa>', "limit"),
        ('<dmrpp:vlsa><v c="3" s="5">YWJj</v></dmrpp:vlsa>', "dmrpp-document"),
    ],
)
def test_texts_that_cannot_be_told(inner, code, tmp_path):
    assert refused(scanned(tmp_path, told(inner, kind="String"))).code == code


def test_enumerations_are_integers_with_meanings(tmp_path):
    text = told('<dmrpp:chunk offset="0" nBytes="3"/>', kind="Enum").replace(
        '<Enum name="v">',
        '<Enumeration name="e" basetype="Int8"><EnumConst name="a b" value="1"/>'
        '<EnumConst name="c" value="-2"/></Enumeration><Enum name="v" enum="/e">',
    )
    refs = scanned(tmp_path, text, bytes([1, 254, 1]))
    assert read(refs).tolist() == [1, -2, 1]
    told_ = {"flag_values": [1, -2], "flag_meanings": "a_b c"}
    assert refs.group["v"].attributes == told_


STRUCTURE = (
    '<Int16 name="a"/><Float64 name="b"/><dmrpp:chunks{}>'
    '<dmrpp:chunk offset="0" nBytes="{}"/></dmrpp:chunks>'
)


@pytest.mark.parametrize("offsets", ["", "2 10", "0 2", "2"])
def test_structures_of_numbers(offsets, tmp_path):
    true = np.array([(1, 2.5), (3, 4.5), (5, 6.5)], [("a", "<i2"), ("b", "<f8")])
    words = f' structOffset="{offsets}"' if offsets else ""
    text = told(STRUCTURE.format(words, 30), kind="Structure")
    assert np.array_equal(read(scanned(tmp_path, text, true.tobytes())), true)


@pytest.mark.parametrize(
    ("inner", "size"),
    [
        (STRUCTURE.format(' structOffset="8 16"', 48), 48),
        (STRUCTURE.format("", 48), 48),
        (STRUCTURE.format(' compressionType="deflate"', 30), 30),
        (STRUCTURE.replace("Float64", "String").format("", 30), 30),
        (STRUCTURE.replace('name="b"', 'name="a"').format("", 30), 30),
    ],
)
def test_structures_that_are_refused(inner, size, tmp_path):
    row = refused(scanned(tmp_path, told(inner, kind="Structure"), bytes(size)))
    assert row.code == "dmrpp-structure"


@pytest.mark.parametrize("kind", ["Sequence", "Opaque"])
def test_other_types_are_refused(kind, tmp_path):
    row = refused(scanned(tmp_path, told('<dmrpp:chunk offset="0" nBytes="3"/>', kind=kind)))
    assert row.code == f"dmrpp-{kind.lower()}"


ONE = '<dmrpp:chunk offset="0" nBytes="{}" chunkPositionInArray="{}"/>'
SIZES = "<dmrpp:chunkDimensionSizes>{}</dmrpp:chunkDimensionSizes>"


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "dmrpp-nowhere"),
        ('<dmrpp:chunks compressionType="szip">' + ONE.format(6, "[0]"), "dmrpp-filter"),
        ("<dmrpp:chunks>" + ONE.format(7, ""), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(4, "[4]"), "dmrpp-subset"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(4, "[1]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(4, "[0,0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(4, "[x]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(4, "[0]") * 2, "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(6, "[0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(0) + ONE.format(4, "[0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format("2 2") + ONE.format(4, "[0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format("4x", "[0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format("-4", "[0]"), "dmrpp-document"),
        ("<dmrpp:chunks>" + SIZES.format(2) + ONE.format(9 * 10**18, "[0]"), "dmrpp-document"),
        ('<dmrpp:chunks><dmrpp:chunk nBytes="6"/>', "dmrpp-document"),
        ('<dmrpp:chunks><dmrpp:chunk offset="1" nBytes="6"/>', "dmrpp-data-size"),
        ("<dmrpp:chunks>" + SIZES.format(3) + '<dmrpp:chunk offset="1" nBytes="6"/>',
         "dmrpp-data-size"),
        ('<dmrpp:chunks><dmrpp:block offset="0" nBytes="4"/>', "dmrpp-document"),
    ],
)  # fmt: skip
def test_what_is_refused_by_name(inner, code, tmp_path):
    end = "</dmrpp:chunks>" if "<dmrpp:chunks" in inner else ""
    assert refused(scanned(tmp_path, told(inner + end), bytes(6))).code == code


@pytest.mark.parametrize(
    "dims", ['<Dim name="/gone"/>', '<Dim size="x"/>', '<Dim size="-1"/>', '<Dim size=""/>']
)
def test_dimensions_that_are_not_told(dims, tmp_path):
    text = told('<dmrpp:chunk offset="0" nBytes="6"/>', dims=dims)
    assert refused(scanned(tmp_path, text, bytes(6))).code == "dmrpp-document"


def test_fill_values(tmp_path):
    empty = "<dmrpp:chunks{}>" + SIZES.format(2) + "</dmrpp:chunks>"
    for words, kind, true in (
        (' fillValue="-7"', "Int16", -7),
        (' fillValue="-1"', "UInt16", 65535),
        (' fillValue="1.5"', "Float32", 1.5),
        ("", "Int32", 0),
        (' fillValue="unsupported-compound"', "Int16", 0),
        (' fillValue="abc"', "Int16", 0),
    ):
        refs = scanned(tmp_path, told(empty.format(words), kind=kind))
        assert read(refs).tolist() == [true] * 3
        assert bool(refs.report.warnings) == ("un" in words or "abc" in words)


def test_attributes_with_types_and_containers(tmp_path):
    attributes = (
        '<Attribute name="a" type="Float32"><Value value="0.1"/></Attribute>'
        '<Attribute name="b" type="Int16"><Value>1</Value><Value>2</Value></Attribute>'
        '<Attribute name="c" type="Container"><Attribute name="d" type="String"><Value>x</Value>'
        "</Attribute></Attribute>"
        '<Attribute name="e" type="Int16"><Value>many</Value></Attribute>'
        '<Attribute name="f" type="Float64"><Value>nan</Value></Attribute>'
        '<Attribute name="g" type="String"/>'
    )
    text = told('<dmrpp:chunk offset="0" nBytes="6"/>' + attributes)
    refs = scanned(tmp_path, text, bytes(6))
    assert refs.group["v"].attributes == {
        "a": float(np.float32(0.1)), "b": [1, 2], "c.d": "x", "e": "many", "f": "NaN", "g": [],
        "_nczarr_attr": {"types": {"a": "<f4", "b": "<i2", "f": "<f8"}},
    }  # fmt: skip
    assert any("'e' is no Int16" in warning for warning in refs.report.warnings)


def test_maps_are_coordinates(tmp_path):
    one = '<Float32 name="{0}"><Dim name="/x"/><dmrpp:chunk offset="0" nBytes="8"/>{1}</Float32>'
    inner = one.format("lat", "") + one.format("v", '<Map name="/lat"/><Map name="/x"/>')
    head = HEAD.format(name='"x"', href='""', version="")
    refs = scanned(tmp_path, f'{head}<Dimension name="x" size="2"/>{inner}</Dataset>', bytes(8))
    assert refs.group["v"].attributes == {"coordinates": "lat"}
    assert refs.group["v"].dimension_names == ("x",)


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE d SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(prolog, tmp_path):
    with pytest.raises(refmaker.errors.UnsupportedError, match="entity") as caught:
        scanned(tmp_path, prolog + told("&a;"))
    assert caught.value.code == "dmrpp-entity"
    assert caught.value.offset is not None


@pytest.mark.parametrize("text", [told("<a>" * 200 + "</a>" * 200), told("<a>"), told("&lt;" * 9)])
def test_documents_that_are_none(text, tmp_path):
    if "&lt;" in text:
        assert refused(scanned(tmp_path, text)).code == "dmrpp-nowhere"
        return
    with pytest.raises(refmaker.errors.RefmakerError) as caught:
        scanned(tmp_path, text)
    assert caught.value.offset


def test_beside_a_remote_granule(tmp_path):
    document(write(tmp_path / "a.h5"))
    with RangeServer(tmp_path) as server:
        url = server.url("a.h5.dmrpp")
        refs = verified(url)
        assert refs.group["plain"].chunks.urls == (server.url("a.h5"),)
        assert not refs.report.skipped
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "a.h5"), "/dm/a.h5")
    memory.put(str(tmp_path / "a.h5.dmrpp"), "/dm/a.h5.dmrpp")
    try:
        assert not refmaker.scan("memory://dm/a.h5.dmrpp").report.skipped
    finally:
        memory.rm("/dm", recursive=True)


def test_where_the_granule_lies(tmp_path):
    path = write(tmp_path / "a.h5")
    hrefs = "a.h5", "https://data.host/some/a.h5", "data/of/a.h5", "/data/a.h5", str(path)
    for href in hrefs:
        refs = refmaker.scan(document(path, href=href), follow_external=href == str(path))
        assert refs.group["plain"].chunks.urls == (str(path),)
    shutil.copy(document(path), tmp_path / "a.h5.dap.dmrpp")
    assert refmaker.scan(tmp_path / "a.h5.dap.dmrpp").group["plain"].chunks.urls == (str(path),)
    path.unlink()
    refs = refmaker.scan(tmp_path / "a.h5.dap.dmrpp")
    assert {row.code for row in refs.report.skipped} == {"dmrpp-data-file"}
    assert refs.report.missing == [str(path)]
    # What stands in the document needs no data file.
    assert {name for name, _ in refs.group.arrays()} >= {"texts", "compact", "never"}
