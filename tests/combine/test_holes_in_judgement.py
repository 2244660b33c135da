"""Cases in which one rule could undo what another one guards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from numcodecs import VLenUTF8

import refmaker
from refmaker.errors import LimitError, MetadataError, SourceChangedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import decode_array, open_stock
from tests.combine.files import dataset, joined, same, scanned, write

BIG = (40, 60)


def test_an_odd_first_file_takes_the_codecs_of_the_others(tmp_path):
    parts = [dataset(k * 2, 2, shape=BIG) for k in range(3)]
    chunks = [(1, 40, 60), (2, 40, 60), (2, 40, 60)]
    paths = [write(tmp_path / f"{k}.nc", part, chunk, zlib=k > 0)
             for k, (part, chunk) in enumerate(zip(parts, chunks, strict=True))]  # fmt: skip
    sets = [refmaker.scan(path, chunk_bytes=None) for path in paths]
    cube = refmaker.combine(sets, concat="time", mismatched="inline")
    same(cube, joined(parts))
    assert cube.group["v"].chunk_shape == (2, 40, 60)
    with pytest.raises(LimitError, match="1 mismatched inputs"):
        refmaker.combine(sets, concat="time", mismatched="inline", inline_budget=100)


def test_static_variables_with_different_fill_values(tmp_path):
    parts = [dataset(0, 2), dataset(2, 2)]
    for part in parts:
        part["mask"] = ("lat", "lon"), np.zeros((4, 6), "i2")
    sets = scanned(tmp_path, parts, (2, 4, 6))
    members = dict(sets[1].group.members)
    members["mask"] = replace(members["mask"], fill_value=np.int16(0))
    sets[1] = replace(sets[1], group=Group(members))
    sets[0] = replace(
        sets[0],
        group=Group({**sets[0].group.members,
                     "mask": replace(sets[0].group["mask"], fill_value=None)}),
    )  # fmt: skip
    with pytest.raises(MetadataError, match="fill value"):
        refmaker.combine(sets, concat="time")


@pytest.mark.parametrize("policy", ["first", "last"])
def test_keeping_one_duplicate_hides_no_difference_across_other_dimensions(tmp_path, policy):
    whole = dataset(0, 2, shape=BIG)
    parts = []
    for k, rows in enumerate((slice(0, 20), slice(20, 40))):
        part = whole.isel(lat=rows)
        part["w"] = ("time", "lon"), np.full((2, 60), 1.0 + k)
        part["small"] = "time", np.full(2, 1.0 + k)
        parts.append(part)
    sets = scanned(tmp_path, parts, (2, 20, 60), encoding={"w": {"chunksizes": (1, 60)}})
    for name, other in (("w", "small"), ("small", "w")):
        with pytest.raises(MetadataError, match=f"{name}: .*different values"):
            refmaker.combine(sets, concat=["time", "lat"], duplicates=policy, drop=other,
                             inline_threshold=100)  # fmt: skip
    alike = [part.assign(w=(("time", "lon"), np.ones((2, 60)))) for part in parts]
    sets = scanned(tmp_path, alike, (2, 20, 60), encoding={"w": {"chunksizes": (1, 60)}})
    same(refmaker.combine(sets, concat=["time", "lat"], drop="small"),
         whole.assign(w=alike[0]["w"]))  # fmt: skip


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_an_axis_made_regular_forgives_no_other_holes(threshold):
    def tile(time, x, number):
        members = {
            "t": _coordinate("t", [time]), "x": _coordinate("x", [x, x + 1]),
            "v": Array((1, 2), (1, 2), np.dtype("<f4"),
                       ChunkTable.inline((1, 1), {0: np.float32([time, x]).tobytes()}),
                       dimension_names=("t", "x")),
        }  # fmt: skip
        return ReferenceSet(Group(members), ScanReport(f"{number}.nc"))

    tiles = [tile(t, x, 10 * t + x) for t in (0, 1, 3) for x in (0, 2)]
    options = {"concat": ["t", "x"], "regular": "t", "inline_threshold": threshold}
    cube = refmaker.combine(tiles, **options)
    values = decode_array(cube.group["v"])
    assert np.isnan(values[2]).all()
    assert values[[0, 1, 3], 0].tolist() == [0, 1, 3]
    with pytest.raises(MetadataError, match=r"no input has it at t=1\.0, x=0\.0"):
        refmaker.combine([tiles[k] for k in (0, 1, 3, 4, 5)], **options)


def _coordinate(name, values):
    labels = np.array(values, "<f8")
    table = ChunkTable.inline((1,), {0: labels.tobytes()})
    return Array(labels.shape, labels.shape, labels.dtype, table, dimension_names=(name,))


def test_boundaries_do_not_stay_behind_when_their_coordinate_is_replaced(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(0, 2, shape=BIG, units="days since 2000-02-01")]
    for part in parts:
        part["time"].attrs["bounds"] = "time_bnds"
        part["time_bnds"] = ("time", "nv"), np.array([[0.0, 1], [1, 2]])
    sets = scanned(tmp_path, parts, (2, 40, 60))
    with pytest.raises(MetadataError, match=r"time_bnds.*in the units of time"):
        refmaker.combine(sets, coords={"time": [[10, 11], [12, 13]]})
    with pytest.raises(MetadataError, match=r"time_bnds.*in the units of time"):
        refmaker.combine(sets, coords={"time": "cf:time"}, times="keep")
    refmaker.combine(sets, coords={"time": "cf:time"}, times="keep", drop="time_bnds")


def test_files_without_any_element_along_the_dimension(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 0, shape=BIG), dataset(2, 2, shape=BIG)]
    paths = [write(tmp_path / f"{k}.nc", part, (2, 40, 60) if k != 1 else None,
                   encoding={"v": {"chunksizes": (2, 40, 60), "zlib": True}})
             for k, part in enumerate(parts)]  # fmt: skip
    cube = refmaker.combine([refmaker.scan(path) for path in paths], concat="time")
    same(cube, joined([parts[0], parts[2]]))


def test_two_scans_of_a_file_that_changed_between_them():
    def one(number, size):
        report = ScanReport("x.nc", sources={"x.nc": Fingerprint(size)})
        return ReferenceSet(Group({"t": _coordinate("t", [number])}), report)

    with pytest.raises(SourceChangedError, match=r"x\.nc"):
        refmaker.combine([one(0, 5), one(1, 6)], concat="t")


def test_texts_of_variable_length(tmp_path):
    parts = []
    for k in range(3):
        names = np.array([f"station {'x' * n} {k}" for n in range(k + 1)], object)
        part = xr.Dataset({"v": ("station", np.arange(k + 1.0) + k)}, {"station": names})
        parts.append(part)
    sets = scanned(tmp_path, parts, unlimited=("station",))
    cube = refmaker.combine(sets, concat="station", order="given", monotonic=False)
    group = open_stock(cube)
    expected = np.concatenate([part["station"].values for part in parts])
    assert group["station"][...].tolist() == expected.tolist()
    np.testing.assert_array_equal(group["v"][...], np.concatenate([p["v"].values for p in parts]))
    with pytest.raises(MetadataError, match=r"direction|not sorted|value twice"):
        refmaker.combine([sets[0], _falling(sets[2])], concat="station")


def _falling(refs):
    labels = np.array(["b", "c", "a"], object)
    data = VLenUTF8().encode(labels)
    array = replace(refs.group["station"], chunks=ChunkTable.inline((1,), {0: bytes(data)}),
                    filters=({"id": "vlen-utf8"},), compressor=None, chunk_shape=(3,))  # fmt: skip
    return replace(refs, group=Group({**refs.group.members, "station": array}))


@pytest.mark.parametrize(
    ("name", "pattern", "found"),
    [
        ("2020/03/sst_20200307.nc", "{t:%Y}/{t:%m}/sst_{t:%Y%m%d}.nc", "2020-03-07"),
        ("2020/067/x.nc", "{t:%Y}/{t:%j}/x.nc", "2020-03-07"),
        ("2020/03/sst_20200407.nc", "{t:%Y}/{t:%m}/sst_{t:%Y%m%d}.nc", None),
        ("s3://b/a/20200307T06.nc?v=1", "{t:%Y%m%dT%H}.nc", "2020-03-07T06"),
        ("x_20201307.nc", "x_{t:%Y%m%d}.nc", None),
        ("ax_20200307.nc", "x_{t:%Y%m%d}.nc", None),
    ],
)
def test_dates_in_names(name, pattern, found):
    refs = ReferenceSet(Group({"x": _coordinate("x", [0, 1])}), ScanReport(name))
    if found is None:
        with pytest.raises(MetadataError, match=r"contradicts|no date|does not fit"):
            refmaker.combine([refs], coords={"t": pattern})
        return
    cube = refmaker.combine([refs], coords={"t": pattern})
    days = refmaker.open_dataset(cube)["t"].values
    assert days.astype("M8[h]")[0] == np.datetime64(found, "h")


def test_a_codec_that_only_a_stored_set_names_is_not_run(tmp_path):
    array = Array((1,), (1,), np.dtype("<f8"), ChunkTable.inline((1,), {0: b"cos\nsystem\n."}),
                  filters=({"id": "pickle"},), dimension_names=("t",))  # fmt: skip
    for k in range(2):
        ReferenceSet(Group({"t": array}, {"k": k})).write(tmp_path / f"{k}.json")
    with pytest.raises(MetadataError, match="pickle"):
        refmaker.combine([tmp_path / "0.json", tmp_path / "1.json"], concat="t")


def test_a_set_from_afar_cannot_have_local_files_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.float64(7).tobytes())
    table = ChunkTable.from_columns((1,), (str(secret),), offset=[0], length=[8])
    array = Array((1,), (1,), np.dtype("<f8"), table, dimension_names=("t",))
    refs = ReferenceSet(Group({"t": array}), ScanReport("https://example.org/refs.json"))
    with pytest.raises(MetadataError, match="names the local file"):
        refmaker.combine([refs, refs], concat="t")


def test_large_static_variables_are_not_read_without_end(tmp_path):
    parts = [dataset(0, 2, shape=BIG), dataset(2, 2, shape=BIG)]
    for k, part in enumerate(parts):
        part["area"] = ("lat", "lon"), np.full(BIG, 1.0 + k)
    sets = scanned(tmp_path, parts, (2, 40, 60))
    with pytest.raises(LimitError, match=r"area.*19200 bytes"):
        refmaker.combine(sets, concat="time", compare_budget=1000)
