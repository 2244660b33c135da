"""Files that pack a variable each in its own way: as xarray decodes and joins them, to the bit."""

from __future__ import annotations

import base64
import json
import multiprocessing
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import event, given
from hypothesis import strategies as st

import refmaker
from refmaker.codecs.packing import packing_of, unpacked
from refmaker.codecs.pieces import parsed_pieces, pieces_codec
from refmaker.codecs.zarr3 import register_codec
from refmaker.codecs.zarr3_pieces import Pieces
from refmaker.errors import (
    CodecError,
    MetadataError,
    MissingDependencyError,
    PolicyError,
    RefmakerError,
    UnsupportedError,
)
from tests.combine.files import READS_UNEVEN

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*[Nn]umcodecs.*",
    "ignore:.*[Cc]onsolidated.*",
    "ignore:.*rectilinear.*",
    "ignore:.*multiple fill values.*",
)
KINDS = {
    "f8": ("i2", -32767, "f8 f8 f8", "f8 f8 f8", 1),
    "f4": ("i2", -32767, "f4 f4 f4", "f4 f4 f4", 1),
    "u1": ("u1", 255, "f8 f8 f8", "f8 f8 f8", 1),
    "i4": ("i4", -32767, "f4 f4 f4", "f4 f4 f4", 1),
    "nofill": ("i2", None, "f8 f8 f8", "f8 f8 f8", 1),
    "scale": ("i2", -32767, "f4 f4 f4", None, 1),
    "offset": ("i2", -32767, None, "f4 f4 f4", 1),
    "mixed": ("i2", -32767, "f4 f8 f4", "f4 f8 f4", 1),
    "apart": ("i2", -32767, "f4 f4 f4", "f8 f8 f8", 1),
    "unsigned": ("i2", -1, "f8 f8 f8", "f8 f8 f8", 1),
    "big": (">i2", -32767, "f8 f8 f8", "f8 f8 f8", 1),
    "part": ("i2", -32767, "f8 f8 f8", "f8 f8 f8", 4),
}
"""Packed type, fill value, types of scale and offset of each file, days in a chunk."""
DAYS = (6, 5, 7)


def write(path, k, days, kind, more=None, rows=40):
    """Write one file; values that are missing begin it."""
    dtype, fill, scales, offsets, chunk = kind
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createDimension("y", rows)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = np.arange(days) + 100 * k
        v = file.createVariable(
            "v", dtype, ("time", "y"), zlib=True, chunksizes=(chunk, rows), fill_value=fill,
            endian="big" if dtype.startswith(">") else "native",
        )  # fmt: skip
        v.set_auto_maskandscale(False)
        if scales:
            v.scale_factor = np.dtype(scales.split()[k % 3]).type(0.01 + 0.003 * k)
        if offsets:
            v.add_offset = np.dtype(offsets.split()[k % 3]).type(273.15 + k)
        v.setncatts({"units": "K", **(more or {})})
        info = np.iinfo(np.dtype(dtype))
        values = np.random.default_rng(k).integers(info.min, info.max, (days, rows), endpoint=True)
        values[0, :5] = fill or 0
        v[:] = values.astype(dtype)
    return str(path)


def files(folder, kind, days=DAYS, **options):
    return [write(folder / f"{k}.nc", k, n, KINDS[kind], **options) for k, n in enumerate(days)]


def native(paths):
    with xr.open_mfdataset(
        paths, engine="netcdf4", combine="nested", concat_dim="time", join="outer"
    ) as found:
        return found.v.load()


def combined(paths, **options):
    sets = [refmaker.scan(path, inline_threshold=0) for path in paths]
    return refmaker.combine(sets, concat="time", **options)


def identical(found, true):
    assert found.dtype == true.dtype
    np.testing.assert_array_equal(
        np.ascontiguousarray(found).view("u1"), np.ascontiguousarray(true).view("u1")
    )


@pytest.mark.parametrize("more", [{}, {"missing_value": "two"}], ids=["", "missing_value"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_cube_is_that_of_xarray(tmp_path, kind, more):
    if kind == "unsigned":
        more = {**more, "_Unsigned": "true"}
    if "missing_value" in more:
        more = {**more, "missing_value": np.array(7, KINDS[kind][0])}
    paths = files(tmp_path, kind, more=more)
    refs = combined(paths)
    refs.write(tmp_path / "cube.json")
    true = native(paths)
    assert any("packed each in another way" in text for text in refs.report.warnings)
    again = refmaker.read(tmp_path / "cube.json")
    assert again.group.members["v"].codecs == refs.group.members["v"].codecs
    if kind == "part" and not READS_UNEVEN:
        with pytest.raises(MissingDependencyError, match=r"zarr 3\.2"):
            refmaker.open_dataset(tmp_path / "cube.json")
        return
    found = refmaker.open_dataset(tmp_path / "cube.json").v
    identical(found.to_numpy(), true.to_numpy())
    identical(found[3:9:2, 1:7].to_numpy(), true[3:9:2, 1:7].to_numpy())
    assert found.attrs == true.attrs
    lazy = refmaker.open_dataset(tmp_path / "cube.json", chunks={}).v
    identical(lazy.compute(scheduler="threads").to_numpy(), true.to_numpy())
    assert all(check.ok for check in refmaker.verify(tmp_path / "cube.json", isolate="never"))


def test_small_variables_that_stand_in_the_set(tmp_path):
    paths = files(tmp_path, "f4", days=(6, 6, 6), rows=6)
    refmaker.combine([refmaker.scan(path) for path in paths]).write(tmp_path / "cube.json")
    identical(refmaker.open_dataset(tmp_path / "cube.json").v.to_numpy(), native(paths).to_numpy())
    assert all(check.ok for check in refmaker.verify(tmp_path / "cube.json", isolate="never"))


def test_packing_that_is_the_same_stays_as_it_is(tmp_path):
    for k in range(2):
        write(tmp_path / f"{k}.nc", 3 * k, 4, ("i2", -1, "f8 f8 f8", None, 1))
    with netCDF4.Dataset(tmp_path / "1.nc", "a") as file:
        file["v"].scale_factor = 0.01
    array = combined([str(tmp_path / f"{k}.nc") for k in range(2)]).group.members["v"]
    assert (array.dtype, array.attributes["scale_factor"]) == ("<i2", 0.01)


def test_version_2_is_told_of_version_3(tmp_path):
    paths = files(tmp_path, "f8")
    with pytest.raises(MetadataError, match=r"keeps its packing.*zarr_format=3"):
        combined(paths, zarr_format=2)
    refs = combined(paths)
    for form in ("parquet", "compact"):
        with pytest.raises(UnsupportedError):
            refs.write(tmp_path / "cube", format=form)


def test_months_are_appended(tmp_path):
    paths = files(tmp_path, "f4")
    for k in range(2):
        refmaker.scan(paths[k], inline_threshold=0)
    combined(paths[:2]).write(tmp_path / "cube.json")
    refmaker.append(tmp_path / "cube.json", [refmaker.scan(paths[2], inline_threshold=0)])
    combined(paths).write(tmp_path / "once.json")
    identical(refmaker.open_dataset(tmp_path / "cube.json").v.to_numpy(), native(paths).to_numpy())
    one, other = (refmaker.read(tmp_path / f"{name}.json") for name in ("cube", "once"))
    assert one.group.members["v"].codecs == other.group.members["v"].codecs


def test_files_of_several_days_in_any_order(tmp_path):
    paths = files(tmp_path, "f8")
    combined(paths[::-1]).write(tmp_path / "cube.json")
    identical(refmaker.open_dataset(tmp_path / "cube.json").v.to_numpy(), native(paths).to_numpy())


def test_chunks_that_were_never_written_are_missing(tmp_path):
    paths = files(tmp_path, "f8")
    sets = [refmaker.scan(path, inline_threshold=0) for path in paths]
    sets = [sets[0], sets[2]]
    refs = refmaker.combine(sets, concat="time", join="outer", regular={"time": "1D"})
    refs.write(tmp_path / "cube.json")
    found = refmaker.open_dataset(tmp_path / "cube.json").v
    true = native([paths[0], paths[2]]).reindex(time=found.time)
    identical(found.to_numpy(), true.to_numpy())


@pytest.mark.parametrize(
    ("scale", "more"),
    [(np.int16(2), {}), (np.nan, {}), (None, {}), (0.5, {"units": "days since 2000-01-01"})],
    ids=["integer", "nan", "not packed", "times"],
)
def test_what_is_refused(tmp_path, scale, more):
    paths = files(tmp_path, "scale")
    with netCDF4.Dataset(paths[1], "a") as file:
        if scale is None:
            del file["v"].scale_factor
        else:
            file["v"].scale_factor = scale
    for path in paths:
        with netCDF4.Dataset(path, "a") as file:
            file["v"].setncatts(more)
    with pytest.raises(RefmakerError):
        combined(paths)


@pytest.mark.parametrize(
    "edit",
    [
        lambda refs: refs.isel(time=slice(0, 6)),
        lambda refs: refs.isel(time=0),
        lambda refs: refs.expand_dims("run", value=1),
        lambda refs: refs.isel(y=0),
    ],
    ids=["slice", "position", "expand", "other"],
)
def test_dimensions_that_packing_follows_stay(tmp_path, edit):
    refs = combined(files(tmp_path, "f8"))
    with pytest.raises(UnsupportedError, match="packed each in its own way"):
        edit(refs)


def test_attributes_of_packed_values_are_left_out(tmp_path):
    paths = files(tmp_path, "f8", more={"valid_range": np.array([0, 9], "i2")})
    refs = combined(paths)
    assert "valid_range" not in refs.group.members["v"].attributes
    assert any("valid_range was left out" in text for text in refs.report.warnings)


def test_a_changed_offset_is_found(tmp_path):
    paths = files(tmp_path, "f8")
    combined(paths).write(tmp_path / "cube.json")
    document = json.loads((tmp_path / "cube.json").read_text())
    for key in ("zarr.json", "v/zarr.json"):
        node = document["refs"][key]
        node = json.loads(node) if isinstance(node, str) else node
        array = node["consolidated_metadata"]["metadata"]["v"] if key == "zarr.json" else node
        config = array["codecs"][0]["configuration"]
        offsets = np.frombuffer(base64.b64decode(config["add_offset"]), "<f8").copy()
        offsets[1] += 0.5
        config["add_offset"] = base64.b64encode(offsets.tobytes()).decode()
        document["refs"][key] = json.dumps(node)
    (tmp_path / "cube.json").write_text(json.dumps(document))
    checks = {
        check.path: check for check in refmaker.verify(tmp_path / "cube.json", isolate="never")
    }
    assert checks["v"].verdict == "different"


def _sum(path):
    return float(refmaker.open_dataset(path).v.sum())


def test_other_processes_and_pickles(tmp_path):
    paths = files(tmp_path, "f8")
    combined(paths).write(tmp_path / "cube.json")
    data = refmaker.open_dataset(tmp_path / "cube.json")
    identical(pickle.loads(pickle.dumps(data)).v.to_numpy(), native(paths).to_numpy())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sum, (str(tmp_path / "cube.json"),)) == float(data.v.sum())


def test_through_icechunk(tmp_path):
    from refmaker.storage.icechunk import open_repository

    paths = files(tmp_path, "mixed")
    combined(paths).write(tmp_path / "cube.icechunk")
    register_codec()
    session = open_repository(tmp_path / "cube.icechunk").readonly_session("main")
    found = zarr.open_group(session.store, mode="r", zarr_format=3)["v"]
    identical(np.asarray(found[...]), native(paths).to_numpy())


CONFIG = {
    "axis": 0, "chunks": [[1, 3]], "data_type": "<i2", "order": "C", "codecs": [{"id": "zlib"}],
    "missing": [-1], "unsigned": False, "decoded": [["<f8", 3]],
    "scale_factor": base64.b64encode(np.ones(3).tobytes()).decode(),
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunks": [[1, 10**12]]}, {"chunks": []}, {"chunks": [0, 1, 2]}, {"axis": -1},
        {"axis": "0"}, {"data_type": "<f8"}, {"order": "K"}, {"missing": [1.5]},
        {"missing": [10**9]}, {"decoded": [["<f8", 2]]}, {"decoded": [["<f8", 10**12]]},
        {"decoded": [["<i4", 3]]}, {"scale_factor": "AAAA"}, {"scale_factor": None},
        {"scale_factor": "not base64!"}, {"codecs": {}}, {"codecs": [{}]},
        {"scale_factor": base64.b64encode(np.full(3, np.inf).tobytes()).decode()},
        {"codecs": [{"id": "pickle"}]}, {"codecs": [{"id": "refmaker.pieces"}]},
    ],
    ids=lambda wrong: str(wrong)[:40],
)  # fmt: skip
def test_hostile_configurations(wrong):
    with pytest.raises(MetadataError):
        Pieces.from_dict({"configuration": {**CONFIG, **wrong}})


def test_documents_that_disagree_are_refused_when_opened(tmp_path):
    paths = files(tmp_path, "f8")
    combined(paths).write(tmp_path / "cube.json")
    text = (tmp_path / "cube.json").read_text()
    few = text.replace('\\"chunks\\":[6,5,7]', '\\"chunks\\":[6,5,6]')
    few = few.replace('"chunks":[6,5,7]', '"chunks":[6,5,6]')
    assert few != text
    (tmp_path / "few.json").write_text(few)
    with pytest.raises(Exception, match="18 chunks, packings of 17"):
        refmaker.open_dataset(tmp_path / "few.json")
    (tmp_path / "evil.json").write_text(
        text.replace('id\\":\\"zlib', 'id\\":\\"pickle').replace('id":"zlib', 'id":"pickle')
    )
    with pytest.raises((PolicyError, MetadataError), match="pickle"):
        refmaker.open_dataset(tmp_path / "evil.json").v.load()


def test_without_a_key_nothing_is_decoded():
    codec = Pieces.from_dict({"configuration": CONFIG})
    with pytest.raises(CodecError, match="which chunk"):
        codec._decode_single(None, None).send(None)


def test_configurations_come_back():
    made = parsed_pieces(CONFIG)
    assert pieces_codec(made) == {**CONFIG, "id": "refmaker.pieces", "chunks": [[1, 3]]}


NUMBERS = st.floats(
    allow_nan=False, allow_infinity=False, width=32, min_value=2.0**-30, max_value=2.0**30
)


@given(
    raw=st.sampled_from(["i1", "u1", "i2", ">i2", "u2", "i4", "u4", "i8"]),
    scale=st.none() | st.tuples(st.sampled_from(["f4", "f8"]), NUMBERS),
    offset=st.none() | st.tuples(st.sampled_from(["f4", "f8"]), NUMBERS),
    fill=st.none() | st.integers(-100, 100),
    seed=st.integers(0, 99),
)
def test_one_file_is_decoded_as_by_xarray(raw, scale, offset, fill, seed):
    dtype = np.dtype(raw)
    info = np.iinfo(dtype)
    values = np.random.default_rng(seed).integers(max(info.min, -120), min(info.max, 120), 50)
    values = values.astype(dtype)
    attributes = {
        name: np.dtype(given[0]).type(given[1])
        for name, given in (("scale_factor", scale), ("add_offset", offset))
        if given is not None
    }
    if fill is not None and info.min <= fill:
        attributes["_FillValue"] = dtype.newbyteorder("=").type(fill)
    packing = packing_of(attributes, dtype)
    assert (packing is None) == (scale is None and offset is None)
    if packing is None:
        return
    event(f"{packing.decoded}")
    true = xr.decode_cf(xr.Dataset({"v": ("x", values, attributes)})).v.to_numpy()
    identical(unpacked(values, packing), true)


@given(
    days=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    kind=st.sampled_from(["f8", "f4", "mixed", "scale", "u1"]),
    first=st.integers(0, 3),
)
def test_random_files(days, kind, first):
    with TemporaryDirectory() as folder:
        paths = files(Path(folder), kind, days=days)
        order = [*paths[first:], *paths[:first]]
        cube = Path(folder) / "cube.json"
        combined(order).write(cube)
        identical(refmaker.open_dataset(cube).v.to_numpy(), native(paths).to_numpy())
