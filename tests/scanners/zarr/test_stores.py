"""Stores of both versions against zarr and xarray: what is scanned is the same Zarr."""

import json
import shutil
import warnings

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

import refmaker
from refmaker.errors import FormatError, UnsupportedError
from refmaker.model.report import Outcome
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from tests.scanners.zarr.stores import consolidate, document_of, members, values, write

STORES = [(2, False), (2, True), (3, False), (3, True)]


def dataset(start=0):
    time = np.arange(start, start + 4.0)
    shape = (4, 30, 40)
    data = np.random.default_rng(start).random(shape).astype("f4")
    data[0, 0] = np.nan
    return xr.Dataset(
        {
            "v": (("time", "y", "x"), data, {"units": "K", "valid": [1, 2]}),
            "n": (("y",), np.arange(30, dtype="i2"), {"flag": "a"}),
            "zero": (("y", "x"), np.zeros((30, 40), "i4")),
            "name": (("y",), np.array([f"n{i}" for i in range(30)], object)),
        },
        {"time": ("time", time, {"units": "days since 2000-01-01"})},
        {"title": "a dataset"},
    )


def checked(path, **options):
    """Return a set of a store that `verify` has found to be equal, all of it."""
    refs = refmaker.scan(path, **options)
    for check in refmaker.verify(refs, sample=None, isolate="never"):
        assert check.ok, (check.path, check.reason)
    return refs


@pytest.mark.parametrize(("version", "consolidated"), STORES)
def test_groups_arrays_and_attributes_are_those_of_the_store(version, consolidated, tmp_path):
    path = write(tmp_path / "a.zarr", version, consolidated=consolidated)
    refs = checked(path)
    assert not refs.report.warnings
    root = zarr.open_group(str(path), mode="r")
    assert {row.path.strip("/") for row in refs.report.rows} | {"/"} - {""} >= members(path) - {"/"}
    assert dict(refs.group.attributes) == dict(root.attrs)
    for name, array in refs.group.arrays():
        true = root[name]
        assert (array.shape, array.dtype) == (true.shape, true.dtype)
        attributes = {k: v for k, v in true.attrs.items() if k != "_ARRAY_DIMENSIONS"}
        assert dict(array.attributes) == attributes
        assert np.array_equal(open_stock(refs.group)[name][...], true[...], equal_nan=True)
    assert refs.group["plain"].dimension_names == ("y", "x")
    assert refs.group["plain"].chunks.url is not None
    assert refs.group["plain"].chunks.present == 6 + 3 * (version == 3)
    assert refs.group["group"].attributes == {"about": "group"}


@pytest.mark.parametrize(("version", "consolidated"), STORES)
def test_xarray_sees_the_same_dataset(version, consolidated, tmp_path):
    path = str(tmp_path / "a.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunks = {"v": {"chunks": (2, 20, 20)}, "n": {"_FillValue": -5}}
        dataset().to_zarr(path, zarr_format=version, consolidated=consolidated, encoding=chunks)
    checked(path).write(tmp_path / "set.json")
    with (
        xr.open_zarr(path, consolidated=consolidated) as true,
        refmaker.open_dataset(tmp_path / "set.json") as read,
    ):
        xr.testing.assert_identical(read.load(), true.load())
        assert {name: read[name].dtype for name in read} == {n: true[n].dtype for n in true}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["<i2", ">i4", "u1", "bool", "<f2", ">f8", "<c8", "S5", "<U3"])
def test_types_and_fill_values(dtype, version, tmp_path):
    path = str(tmp_path / "a.zarr")
    fill = {"S": b"abc", "U": "ab", "b": True}.get(np.dtype(dtype).kind, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns of types without a specification
        array = zarr.create_array(
            path, shape=(7, 5), chunks=(3, 2), dtype=dtype, fill_value=fill, zarr_format=version
        )
        array[:5] = (values((5, 5), "i2") % 2).astype(dtype)
        refs = checked(path)
        true = zarr.open_array(path, mode="r")[...]
        found = open_stock(refs.group)["data"][...]
    assert np.array_equal(found, true)
    kind = refs.group["data"].dtype
    # In version 3 zarr writes little-endian, whatever the type is called.
    assert kind == (np.dtype(dtype) if version == 2 else np.dtype(dtype).newbyteorder("<"))


@pytest.mark.parametrize("version", [2, 3])
def test_integers_are_not_missing_because_of_a_made_up_fill_value(version, tmp_path):
    """Version 3 always has a fill value, which xarray takes for missing in version 2 alone."""
    array = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=version).create_array(
        "v", shape=(6,), chunks=(2,), dtype="i4", fill_value=3,
        attributes={"_ARRAY_DIMENSIONS": ["x"]} if version == 2 else {},
        dimension_names=["x"] if version == 3 else None,
    )  # fmt: skip
    array[:4] = [0, 3, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        true = xr.open_zarr(str(tmp_path / "a.zarr"), consolidated=False)["v"].load()
    checked(tmp_path / "a.zarr").write(tmp_path / "set.json")
    read = refmaker.open_dataset(tmp_path / "set.json")["v"].load()
    assert read.dtype == true.dtype
    np.testing.assert_array_equal(read, true)


@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("encoding", ["default", "v2"])
@pytest.mark.parametrize("shape", [(), (5,), (12, 2, 11)])
def test_keys_of_chunks(shape, encoding, separator, tmp_path):
    path = str(tmp_path / "a.zarr")
    array = zarr.create_array(
        path, shape=shape, chunks=tuple(1 for _ in shape), dtype="i2", zarr_format=3,
        chunk_key_encoding={"name": encoding, "separator": separator},
    )  # fmt: skip
    if shape:
        small = tuple(min(extent, 2) for extent in shape)
        array[tuple(slice(extent) for extent in small)] = values(small, "i2")
        array[tuple(slice(-1, None) for _ in shape)] = 9
    else:
        array[...] = 4
    refs = checked(path, inline_threshold=0)
    assert np.array_equal(open_stock(refs.group)["data"][...], array[...])


def test_consolidated_metadata_count_and_differences_are_told(tmp_path):
    for version in (2, 3):
        path = write(tmp_path / f"{version}.zarr", version, consolidated=True)
        root = zarr.open_group(str(path), mode="a", use_consolidated=False)
        root.create_array("late", shape=(3,), dtype="i2")[...] = 1
        root["group/big"].attrs["new"] = 1
        shutil.rmtree(path / "never")
        refs = checked(path)
        (row,) = refs.report.skipped
        assert (row.path, row.code) == ("/late", "zarr-unconsolidated")
        assert "zarr-metadata" in row.reason
        assert "new" not in refs.group["group/big"].attributes
        assert any("/group/big" in text and "differ" in text for text in refs.report.warnings)
        assert any("/never" in text for text in refs.report.warnings)
        refs = checked(path, settings={"zarr-metadata": "members"})
        assert not refs.report.skipped
        assert refs.group["late"].shape == (3,)
        assert refs.group["group/big"].attributes == {"new": 1}
        assert "never" not in refs.group.members


def test_a_bad_document_costs_its_own_array(tmp_path):
    for version in (2, 3):
        path = write(tmp_path / f"{version}.zarr", version)
        name = ".zarray" if version == 2 else "zarr.json"
        (path / "plain" / name).write_text("{")
        document = json.loads((path / "group" / "big" / name).read_text())
        document["shape"] = [-1]
        (path / "group" / "big" / name).write_text(json.dumps(document))
        refs = refmaker.scan(path)
        codes = {row.path: row.code for row in refs.report.skipped}
        assert codes == {"/plain": "zarr-document", "/group/big": "zarr-metadata"}
        assert "group/inner/scalar" in dict(refs.group.arrays())


def test_a_bad_root_is_refused(tmp_path):
    path = write(tmp_path / "a.zarr", 3)
    for text in ("{", "[1]", '{"zarr_format": 4, "node_type": "group"}', "{" * 100):
        (path / "zarr.json").write_text(text)
        with pytest.raises(FormatError):
            refmaker.scan(path / "zarr.json", format="zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_no_chunk_is_told(version, tmp_path):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(str(path), shape=(9,), chunks=(2,), dtype="i2", zarr_format=version)
    array[...] = values((9,), "i2")
    array.resize((5,))
    chunks = path / "c" if version == 3 else path
    (chunks / "4").write_bytes(b"x")
    (path / "README.md").write_text("read")
    (chunks / "00").write_bytes(b"x")
    refs = checked(path)
    assert np.array_equal(open_stock(refs.group)["data"][...], array[...])
    assert any("no chunks of it: 2" in text for text in refs.report.warnings)
    assert any("beyond its shape: 1" in text for text in refs.report.warnings)


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_without_bytes_is_damage(version, tmp_path):
    path = write(tmp_path / "a.zarr", version)
    broken = path / "plain" / ("0.0" if version == 2 else "c/0/0")
    broken.write_bytes(b"")
    refs = refmaker.scan(path)
    (row,) = refs.report.skipped
    assert (row.path, row.code) == ("/plain", "zarr-chunk")
    assert broken.relative_to(path).as_posix() in row.reason


@pytest.mark.parametrize(
    ("codec", "code"), [("pickle", "zarr-objects"), ("json2", "zarr-objects"), (None, "")]
)
def test_objects_but_texts_are_refused(codec, code, tmp_path):
    path = tmp_path / "a.zarr"
    array = np.array(["a", "bcd", ""], object)
    path.mkdir()
    made = numcodecs.get_codec({"id": codec or "vlen-utf8"})
    document = {
        "zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "fill_value": "",
        "filters": [made.get_config()], "compressor": None, "order": "C",
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(document))
    (path / "0").write_bytes(bytes(made.encode(array)))
    refs = refmaker.scan(path)
    assert [row.code for row in refs.report.skipped] == ([code] if code else [])
    if not code:
        assert checked(path)
        assert open_stock(refs.group)["data"][...].tolist() == array.tolist()


@pytest.mark.parametrize("fill", [0, 1.5, "none", None])
def test_texts_that_were_never_written_are_those_of_zarr(fill, tmp_path):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=5, chunks=2, dtype=str, zarr_format=2, fill_value="")
    array[:2] = "a"
    document = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**document, "fill_value": fill}))
    true = zarr.open_array(path, mode="r")[...].tolist()
    assert open_stock(checked(path).group)["data"][...].tolist() == true


def test_what_version_2_cannot_say_is_refused(tmp_path):
    path = write(tmp_path / "a.zarr", 3)
    document = json.loads((path / "plain" / "zarr.json").read_text())
    for name, change in {
        "a": {"codecs": [{"name": "bytes"}, {"name": "their.codec"}]},
        "b": {"data_type": "int2"},
        "c": {"storage_transformers": [{"name": "x"}]},
    }.items():
        (path / name).mkdir()
        (path / name / "zarr.json").write_text(json.dumps(document | change))
    refs = refmaker.scan(path)
    codes = {row.path: row.code for row in refs.report.skipped}
    assert codes == {"/a": "zarr3-codec", "/b": "zarr3-dtype", "/c": "zarr3-extension"}


def test_links_out_of_the_store_are_not_followed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret").write_bytes(bytes(range(250)) * 40)
    path = write(tmp_path / "a.zarr", 2)
    (path / "plain" / "0.0").unlink()
    (path / "plain" / "0.0").symlink_to(tmp_path / "other" / "secret")
    (path / "elsewhere").symlink_to(tmp_path / "other")
    (path / "group" / "loop").symlink_to(path / "group")
    refs = refmaker.scan(path)
    codes = {row.path: row.code for row in refs.report.skipped}
    assert codes == {"/plain": "external-outside", "/elsewhere": "external-outside"}
    assert "plain" in dict(refmaker.scan(path, follow_external=True).group.arrays())


def test_keys_that_lead_elsewhere_are_refused(tmp_path):
    path = write(tmp_path / "a.zarr", 2, consolidated=True)
    text = (path / ".zmetadata").read_text()
    (path / ".zmetadata").write_text(text.replace('"plain/', '"../plain/'))
    refs = refmaker.scan(path)
    assert ("/../plain", "zarr-document") in {(row.path, row.code) for row in refs.report.skipped}
    assert not any(".." in url for url in refs.urls())


def test_a_changed_chunk_is_noticed(tmp_path):
    path = write(tmp_path / "a.zarr", 2)
    refmaker.scan(path).write(tmp_path / "set.json")
    zarr.open_group(str(path), mode="a")["group/big"][3:] = 5
    with pytest.raises(Exception, match="modified after it was scanned"):
        refmaker.open_group(tmp_path / "set.json")["group/big"][...]
    bad = [check.url for check in refmaker.check_sources(tmp_path / "set.json") if check.problem]
    assert all("group/big" in url for url in bad)
    assert bad


def test_the_cache_of_scans_does_not_hide_new_chunks(tmp_path):
    path = write(tmp_path / "a.zarr", 2)
    for file in path.glob("*/*.*"):
        if not file.name.startswith("."):
            file.unlink()

    def scanned():
        (found,) = refmaker.scan_many([path])
        return found.references().group["plain"].chunks.present

    assert scanned() == 0
    zarr.open_group(str(path), mode="a")["plain"][:20, :30] = 4
    assert scanned() == 1


def test_a_zarr_store_is_joined_with_an_archive_of_netcdf(tmp_path):
    encoding = {"v": {"zlib": True, "complevel": 4, "shuffle": False, "chunksizes": (2, 30, 40)}}
    parts = [dataset(start)[["v"]] for start in (0, 4, 8)]
    parts[0].to_netcdf(tmp_path / "a.nc", encoding=encoding, engine="netcdf4")
    from zarr.codecs import numcodecs as zarr_numcodecs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for version, codec in ((2, numcodecs.Zlib(4)), (3, zarr_numcodecs.Zlib(level=4))):
            parts[version - 1].to_zarr(
                tmp_path / f"{version}.zarr", zarr_format=version, consolidated=version == 2,
                encoding={"v": {"chunks": (2, 30, 40), "compressors": codec},
                          "time": {"compressors": None}},
            )  # fmt: skip
    inputs = [tmp_path / name for name in ("a.nc", "2.zarr", "3.zarr")]
    refs = refmaker.combine([refmaker.scan(path) for path in inputs], concat="time")
    refs.write(tmp_path / "all.json")
    with refmaker.open_dataset(tmp_path / "all.json", decode_times=False) as read:
        np.testing.assert_array_equal(read["v"], xr.concat(parts, "time")["v"])
    assert refs.group["v"].chunks.referenced == 6
    stored = ReferenceSet.read(tmp_path / "all.json")
    for check in refmaker.verify(stored, sample=None, isolate="never"):
        assert check.verdict == "equal", (check.path, check.reason)


def test_a_wrong_chunk_of_a_joined_set_is_found(tmp_path):
    for start in (0, 4):
        path = tmp_path / f"{start}.zarr"
        dataset(start)[["v"]].to_zarr(
            path, zarr_format=2, encoding={"v": {"chunks": (2, 30, 40)}}, consolidated=True
        )
    sets = [refmaker.scan(tmp_path / f"{start}.zarr") for start in (0, 4)]
    refmaker.combine(sets, concat="time").write(tmp_path / "all.json")
    text = (tmp_path / "all.json").read_text()
    assert "v/0.0.0" in text
    swapped = text.replace('"v/0.0.0"', '"v/x"').replace('"v/1.0.0"', '"v/0.0.0"')
    (tmp_path / "all.json").write_text(swapped.replace('"v/x"', '"v/1.0.0"'))
    checks = {
        c.path: c for c in refmaker.verify(tmp_path / "all.json", sample=None, isolate="never")
    }
    assert checks["v"].verdict == "different"


def test_an_archive_is_not_several_stores(tmp_path):
    with pytest.raises(UnsupportedError, match="several stores"):
        _packed(tmp_path)


def _packed(tmp_path):
    import zipfile

    write(tmp_path / "a.zarr", 2)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for top in ("a", "b"):
            archive.writestr(f"{top}/.zgroup", '{"zarr_format": 2}')
    return refmaker.scan(tmp_path / "x.zip")


def test_rows_are_those_of_members(tmp_path):
    path = write(tmp_path / "a.zarr", 2)
    report = refmaker.scan(document_of(path)).report
    outcomes = {row.path: row.outcome for row in report.rows}
    assert outcomes["/group/inner"] is Outcome.GROUP
    assert outcomes["/group/inner/scalar"] is Outcome.INLINED
    consolidate(path)
    assert refmaker.scan(path).report.url.endswith(".zmetadata")


def test_chunks_of_different_lengths(tmp_path):
    path = tmp_path / "a.zarr"
    (path / "c").mkdir(parents=True)
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [7], "data_type": "int16",
        "chunk_grid": {"name": "rectilinear",
                       "configuration": {"kind": "inline", "chunk_shapes": [[2, 4, 1]]}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "attributes": {},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }  # fmt: skip
    (path / "zarr.json").write_text(json.dumps(document))
    for number, length in enumerate((2, 4, 1)):
        (path / "c" / str(number)).write_bytes(bytes(2 * length))
    array = refmaker.scan(path, inline_threshold=0).group["data"]
    assert array.chunks.length.tolist() == [4, 8, 2]
    assert [array.region((i,)) for i in range(3)] == [
        (slice(0, 2),), (slice(2, 6),), (slice(6, 7),)
    ]  # fmt: skip
