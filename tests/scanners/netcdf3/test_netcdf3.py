"""netCDF classic: what is read through references is what the netCDF library reads."""

import struct
import sys

import fsspec
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.errors import FormatError, MissingDependencyError
from refmaker.io.source import Source
from refmaker.model.attribute_types import TYPES
from refmaker.model.report import Outcome
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.scanners.netcdf3 import NetCDF3Scanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import decode_array, document, open_stock
from tests import corpora
from tests.scanners.netcdf3 import files

CORPUS = corpora.CORPUS / "netcdf3"
TABLES = ScanOptions(inline_threshold=0)


def scan(path, options=TABLES):
    with Source(path) as source:
        return NetCDF3Scanner().scan(source, options)


def same(group, path):
    """Compare every array with the netCDF library, bit for bit."""
    with Source(path) as source, NetCDF3Scanner().native(source) as native:
        for name, array in group.arrays():
            whole = tuple(slice(0, extent) for extent in array.shape)
            expected = native.read(name, array, whole)
            assert expected.dtype == array.dtype
            assert expected.shape == array.shape, name
            assert decode_array(array).tobytes() == expected.tobytes(), name


def open_xarray(group, **options):
    return xr.open_dataset(
        "reference://",
        engine="zarr",
        chunks=None,
        backend_kwargs={"storage_options": {"fo": document(group)}, "consolidated": True},
        **options,
    )


def every(form):
    """Return variables of every type with 0 to 4 dimensions, fixed and recorded."""
    axes = ((), ("x",), ("t",), ("x", "y"), ("t", "x"), ("x", "y", "z"), ("t", "x", "y", "z"))
    return {
        f"{dtype}_{''.join(names)}": (dtype, names) for dtype in files.types(form) for names in axes
    }


@pytest.mark.parametrize("options", [TABLES, ScanOptions(), ScanOptions(chunk_bytes=64)])
@pytest.mark.parametrize("form", files.FORMATS)
def test_every_type_and_rank(tmp_path, form, options):
    path = tmp_path / "every.nc"
    written = files.make(path, form, {"t": [3], "x": 5, "y": 7, "z": 3}, every(form))
    group, report = scan(path, options)
    assert set(group.members) == set(written)
    assert report.lossless
    assert [row.path for row in report.rows] == ["/", *(f"/{name}" for name in written)]
    stock = open_stock(group)
    for name, expected in written.items():
        array = group[name]
        assert array.dtype == np.dtype(expected.dtype).newbyteorder(">")
        assert array.fill_value is None
        np.testing.assert_array_equal(stock[name][...], expected, strict=False)
    same(group, path)


@pytest.mark.parametrize("form", files.FORMATS)
def test_xarray_sees_the_same_dataset(tmp_path, form):
    path = tmp_path / "decoded.nc"
    files.make(
        path,
        form,
        {"time": [4], "x": 5, "label": 6},
        {
            "time": ("i4", ("time",)),
            "x": ("f4", ("x",)),
            "packed": ("i2", ("time", "x")),
            "plain": ("f4", ("time", "x")),
            "byte": ("i1", ("time",)),
            "name": ("S1", ("x", "label")),
            "crs": ("i4", ()),
        },
        {"title": "Prüfung", "Conventions": "CF-1.8", "versions": np.arange(3, dtype="i2")},
        fill={"packed": -7, "plain": np.float32("nan"), "byte": -1},
    )
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["time"].units = "hours since 2000-01-01"
        dataset["time"][:] = [0, 6, 12, 18]
        dataset["packed"].setncatts({"scale_factor": 0.5, "add_offset": 10.0})
        dataset["packed"].set_auto_maskandscale(False)
        dataset["packed"][0, 0] = -7
        dataset["plain"][1, 1] = np.nan
    group, _ = scan(path)
    for decode in (True, False):
        with (
            open_xarray(group, decode_cf=decode) as found,
            xr.open_dataset(path, engine="netcdf4", decode_cf=decode) as expected,
        ):
            assert group.attributes[UNLIMITED] == ["time"]  # hidden by xarray
            xr.testing.assert_identical(found.load(), expected.load())
    assert open_xarray(group)["packed"].isnull().values[0, 0]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", ["i1", "S1", "u1", "i2", "u2"])
def test_a_lone_record_variable_is_not_padded_and_several_are(tmp_path, dtype, length):
    form, dimensions = files.DATA64, {"t": [6], "x": length}
    alone = tmp_path / "alone.nc"
    files.make(alone, form, dimensions, {"a": (dtype, ("t", "x")), "f": ("i2", ("x",))})
    group, _ = scan(alone)
    assert group["a"].chunks.referenced == 1
    assert group["a"].chunk_shape == (6, length)
    same(group, alone)
    several = tmp_path / "several.nc"
    files.make(several, form, dimensions, {"a": (dtype, ("t", "x")), "b": (dtype, ("t",))})
    group, _ = scan(several)
    assert group["a"].chunks.referenced == group["b"].chunks.referenced == 6
    same(group, several)


def test_a_lone_record_variable_is_joined_to_pieces_of_the_target_size(tmp_path):
    path = tmp_path / "joined.nc"
    files.make(path, files.CLASSIC, {"t": [60], "x": 3}, {"a": ("i2", ("t", "x"))})
    group, _ = scan(path, ScanOptions(inline_threshold=0, chunk_bytes=72))
    assert group["a"].chunk_shape == (12, 3)
    assert group["a"].chunks.referenced == 5
    same(group, path)


def test_large_arrays_are_cut_on_request(tmp_path):
    path = tmp_path / "large.nc"
    variables = {"fixed": ("f4", ("y", "x")), "a": ("f8", ("t", "y", "x")), "b": ("i2", ("t",))}
    files.make(path, files.CLASSIC, {"t": [4], "y": 60, "x": 100}, variables)
    whole, _ = scan(path, ScanOptions(inline_threshold=0, chunk_bytes=None))
    assert whole["fixed"].chunk_shape == (60, 100)
    assert whole["a"].chunk_shape == (1, 60, 100)
    cut, _ = scan(path, ScanOptions(inline_threshold=0, chunk_bytes=8000))
    assert cut["fixed"].chunk_shape == (20, 100)
    assert cut["a"].chunk_shape == (1, 10, 100)
    assert cut["a"].chunks.referenced == 24
    same(whole, path)
    same(cut, path)


@pytest.mark.parametrize("form", files.FORMATS)
def test_no_records(tmp_path, form):
    path = tmp_path / "none.nc"
    variables = {"time": ("f8", ("t",)), "a": ("i2", ("t", "x")), "f": ("i4", ("x",))}
    files.make(path, form, {"t": [0], "x": 5}, variables)
    group, report = scan(path)
    assert group["a"].shape == (0, 5)
    assert group["a"].chunks.size == 0
    assert report.lossless
    same(group, path)
    with xr.open_dataset(path, engine="netcdf4") as expected:
        xr.testing.assert_identical(open_xarray(group).drop_attrs(), expected.drop_attrs())


def test_inlining_takes_the_bytes_of_small_arrays(tmp_path):
    path = tmp_path / "inline.nc"
    variables = {
        "scalar": ("i4", ()),
        "time": ("i2", ("t",)),
        "odd": ("i1", ("t", "three")),
        "small": ("f8", ("three",)),
        "big": ("f8", ("x",)),
    }
    files.make(path, files.CLASSIC, {"t": [20], "three": 3, "x": 20}, variables)
    group, report = scan(path, ScanOptions(inline_threshold=60))
    outcome = {row.path.removeprefix("/"): row.outcome for row in report.rows}
    inlined = ["scalar", "time", "odd", "small"]
    assert [outcome[name] for name in inlined] == [Outcome.INLINED] * 4
    assert outcome["big"] == Outcome.REFERENCED
    for name in inlined:
        assert list(group[name].chunks.inlined) == [0]
        assert group[name].codecs == ()
    same(group, path)


def test_attributes_of_each_type(tmp_path):
    path = tmp_path / "attributes.nc"
    with netCDF4.Dataset(path, "w", format=files.DATA64) as dataset:
        dataset.createDimension("unused", 3)
        variable = dataset.createVariable("v", "f4", ())
        for dtype in (*files.OLD_TYPES, *files.NEW_TYPES):
            if dtype != "S1":
                edges = np.array([0, 1], dtype) if dtype[0] == "f" else np.iinfo(dtype)
                low, high = edges if dtype[0] == "f" else (edges.min, edges.max)
                variable.setncattr(f"one_{dtype}", np.dtype(dtype).type(high))
                variable.setncattr(f"two_{dtype}", np.array([low, high], dtype))
        variable.setncattr("tenth", np.float32(0.1))
        variable.setncattr("special", np.array([np.nan, np.inf, -np.inf, 1]))
        variable.setncattr("text", "naïve 日本")
        variable.setncattr("empty", "")
    group, report = scan(path)
    attributes = group["v"].attributes
    assert attributes["one_i1"] == 127
    assert attributes["two_i2"] == [-32768, 32767]
    assert attributes["two_i8"] == [-(2**63), 2**63 - 1]
    assert attributes["one_u8"] == 2**64 - 1
    assert attributes["two_f4"] == [0.0, 1.0]
    assert type(attributes["one_f8"]) is float
    assert type(attributes["one_u2"]) is int
    assert attributes["tenth"] == float(np.float32(0.1))
    assert attributes["special"] == ["NaN", "Infinity", "-Infinity", 1.0]
    assert attributes["text"] == "naïve 日本"
    assert attributes["empty"] == ""
    assert any("unused" in warning for warning in report.warnings)
    assert any("v@special" in warning for warning in report.warnings)
    assert open_stock(group)["v"].attrs["one_u8"] == 2**64 - 1


def test_fill_values_are_kept_as_declared(tmp_path):
    path = tmp_path / "fill.nc"
    form, length = files.DATA64, {"x": 3}
    fills = {"i1": -1, "S1": b"x", "f4": np.float32("nan"), "f8": np.inf, "u8": 2**64 - 1, "i8": 7}
    variables = {dtype: (dtype, ("x",)) for dtype in (*fills, "i2")}
    files.make(path, form, length, variables, fill=fills)
    group, _ = scan(path)
    for dtype, fill in fills.items():
        kept = group[dtype].fill_value
        assert np.asarray(kept, dtype).tobytes() == np.asarray(fill, dtype).tobytes()
        stock = open_stock(group)[dtype].fill_value
        assert np.asarray(stock, dtype).tobytes() == np.asarray(fill, dtype).tobytes()
    assert group["i1"].attributes["_FillValue"] == -1
    assert group["S1"].attributes["_FillValue"] == "x"
    assert group["f4"].attributes["_FillValue"] == "NaN"
    assert group["i2"].fill_value is None
    assert "_FillValue" not in group["i2"].attributes


def test_a_fill_value_of_another_type_stays_an_attribute(tmp_path):
    fill = [("_FillValue", 4, 1, struct.pack(">i", -9)), ("_FillValue", 3, 1, b"\0\1\0\0")]
    two = [("_FillValue", 3, 2, b"\0\1\0\2")]
    null = [("_FillValue", 2, 1, b"\0"), ("text", 2, 4, b"ab\0\0")]
    builder = files.Builder(dimensions=[("x", 2)])
    for begin in (0, 400):
        builder.variables = [
            ("other", [0], 3, begin, 4, fill),
            ("two", [0], 3, begin + 4, 4, two),
            ("null", [0], 2, begin + 8, 4, null),
        ]
    path = builder.write(tmp_path / "fill.nc")
    path.write_bytes(path.read_bytes().ljust(412, b"\1"))
    group, report = scan(path)
    assert group["other"].fill_value is None
    assert group["other"].attributes["_FillValue"] == -9
    assert group["two"].attributes["_FillValue"] == [1, 2]
    assert group["two"].fill_value is None
    assert group["null"].fill_value == b""
    assert group["null"].attributes == {"_FillValue": "\0", "text": "ab"}
    assert [(row.path, row.code) for row in report.skipped] == [("/other@_FillValue", "name")]


@pytest.mark.parametrize("name", ["temp é", "日本", "a.b", "a:b", "a?b#c", 'a"b', "a*b", "0", "_x"])
def test_names(tmp_path, name):
    path = tmp_path / "names.nc"
    form = files.CLASSIC
    files.make(path, form, {name: 3}, {name: ("i2", (name,))}, {name: 1})
    group, _ = scan(path)
    assert group[name].dimension_names == (name,)
    assert group.attributes[name] == 1
    same(group, path)
    assert name in open_xarray(group)


def test_names_that_are_not_utf8_or_end_in_nulls(tmp_path):
    text = [("a", 2, 2, b"\xe9\xe8")]
    builder = files.Builder(dimensions=[(b"x\0\0", 2)])
    builder.variables = [(b"\xe9t\xe9", [0], 3, 200, 4, text), (b"null\0", [0], 3, 204)]
    path = builder.write(tmp_path / "latin.nc")
    path.write_bytes(path.read_bytes().ljust(200, b"\0") + struct.pack(">4h", 1, -2, 3, -4))
    group, report = scan(path)
    assert list(group.members) == ["été", "null"]
    assert group["null"].dimension_names == ("x",)
    assert group["été"].attributes == {"a": "éè"}
    assert len(report.warnings) == 2
    assert decode_array(group["été"]).tolist() == [1, -2]
    assert decode_array(group["null"]).tolist() == [3, -4]
    with Source(path) as source, pytest.raises(FormatError, match="netCDF library refuses"):
        NetCDF3Scanner().native(source).__enter__()


@pytest.mark.parametrize("form", files.FORMATS)
def test_a_last_variable_too_large_for_vsize(tmp_path, form):
    path = tmp_path / "huge.nc"
    with netCDF4.Dataset(path, "w", format=form) as dataset:
        dataset.set_fill_off()
        dataset.createDimension("y", 5)
        dataset.createDimension("x", 2**30)
        dataset.createVariable("small", "i2", ("y",))[:] = range(5)
        dataset.createVariable("huge", "i1", ("y", "x"))[4, -3:] = [1, 2, 3]
    assert path.stat().st_size > 5 * 2**30
    assert path.stat().st_blocks * 512 < 2**24, "the file system does not keep files sparse"
    group, report = scan(path, ScanOptions())
    assert report.lossless
    stock = open_stock(group)
    assert stock["huge"][4, -4:].tolist() == [0, 1, 2, 3]
    assert stock["small"][:].tolist() == [0, 1, 2, 3, 4]


def test_remote_files_are_read_in_few_blocks(tmp_path):
    path = tmp_path / "remote.nc"
    variables = {f"v{number}": ("f4", ("t", "x")) for number in range(1500)}
    dimensions = {"t": [2], "x": 3}
    files.make(path, files.CLASSIC, dimensions, variables, {"history": "long " * 40000})
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/netcdf3/remote.nc", path.read_bytes())
    with Source("memory://netcdf3/remote.nc") as source:
        group, report = NetCDF3Scanner().scan(source, ScanOptions())
        assert source.rounds <= 3
        assert report.count(Outcome.INLINED) == 1500
        assert group.attributes["history"] == "long " * 40000
        with NetCDF3Scanner().native(source) as native:
            for name in ("v0", "v1499"):
                array = group[name]
                expected = native.read(name, array, (slice(1, 2), slice(0, 3)))
                np.testing.assert_array_equal(decode_array(array)[1:], expected)
    referenced, _ = NetCDF3Scanner().scan(Source("memory://netcdf3/remote.nc"), TABLES)
    np.testing.assert_array_equal(open_stock(referenced)["v9"][...], decode_array(group["v9"]))
    with Source(path) as source:
        NetCDF3Scanner().scan(source, TABLES)
        assert source.requests <= 6


def test_sniffing():
    scanner = NetCDF3Scanner()
    assert all(scanner.sniff(b"CDF" + bytes([version]), "") == 1 for version in (1, 2, 5))
    assert not any(scanner.sniff(head, "x.nc") for head in (b"", b"CDF", b"CDF\3", b"\x89HDF"))


def test_native_names_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    files.make(path, files.CLASSIC, {"x": 2}, {"a": ("i2", ("x",))})
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with Source(path) as source, pytest.raises(MissingDependencyError, match="install netCDF4"):
        NetCDF3Scanner().native(source).__enter__()


def test_native_says_when_the_library_refuses_a_file(tmp_path):
    path = files.Builder(dimensions=[("x", 4)], variables=[("v", [9], 1, 100)])
    path = path.write(tmp_path / "a.nc")
    with Source(path) as source, pytest.raises(FormatError, match="netCDF library refuses"):
        NetCDF3Scanner().native(source).__enter__()


@st.composite
def structures(draw):
    form = draw(st.sampled_from(files.FORMATS))
    dimensions = {name: draw(st.integers(1, 5)) for name in "abc"}
    dimensions["t"] = [draw(st.integers(0, 4))]
    variables = {}
    for number in range(draw(st.integers(0, 6))):
        inner = draw(st.lists(st.sampled_from("abc"), max_size=3))
        axes = ("t", *inner) if draw(st.booleans()) else tuple(inner)
        variables[f"v{number}"] = (draw(st.sampled_from(files.types(form))), axes)
    return form, dimensions, variables


@given(
    structures(),
    st.sampled_from([0, 10, 1024]),
    st.sampled_from([None, 8, 32, 4 * 1024**2]),
)
def test_any_structure(tmp_path_factory, structure, inline, chunk):
    path = tmp_path_factory.mktemp("any") / "any.nc"
    written = files.make(path, *structure)
    group, report = scan(path, ScanOptions(inline_threshold=inline, chunk_bytes=chunk))
    assert report.lossless
    assert list(group.members) == list(written)
    for name, expected in written.items():
        np.testing.assert_array_equal(decode_array(group[name]), expected)
    same(group, path)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not there")
@pytest.mark.parametrize("options", [TABLES, ScanOptions()])
def test_corpus(options):
    found = sorted(CORPUS.glob("*.nc*")) + sorted(CORPUS.glob("*.sav"))
    assert len(set(found)) >= 23
    for path in found:
        group, report = scan(path, options)
        if path.name == "netcdfc__bad_cdf5_begin.nc":
            assert {row.code for row in report.skipped} == {"truncated"}
            continue
        assert report.lossless, path.name
        same(group, path)
        with netCDF4.Dataset(path) as dataset:
            assert set(group.members) == set(dataset.variables)
            for name, variable in dataset.variables.items():
                assert group[name].dimension_names == variable.dimensions
                told = [key for key in group[name].attributes if key != TYPES]
                assert told == variable.ncattrs()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA"])
def test_impossible_missing_values_are_left_out(tmp_path, version):
    path = tmp_path / "file.nc"
    with netCDF4.Dataset(path, "w", format=version) as f:
        f.createDimension("x", 4)
        for name, code, value in (
            ("nan", "i2", np.float32("nan")),
            ("text", "i4", "abc"),
            ("far", "i1", np.int16(300)),
            ("good", "f4", np.float32("nan")),
        ):
            v = f.createVariable(name, code, ("x",))
            v[:] = [1, 2, 3, 4]
            v.scale_factor = np.float32(0.5)
            # Under its own name, netCDF4 would give it the variable's type.
            v.missing_valuf = value
    path.write_bytes(path.read_bytes().replace(b"missing_valuf", b"missing_value"))
    group, report = scan(path)
    assert sum("is left out" in text for text in report.warnings) == 3
    assert {name for name, a in group.arrays() if "missing_value" in a.attributes} == {"good"}
    found = refmaker.open_dataset(group)
    assert {v.dtype for v in found.variables.values()} == {np.dtype("f4")}
    found.to_netcdf(tmp_path / "back.nc")
