"""A set with anything wrong in it, of whatever kind it is, is never called equal.

Every kind of set is made once, is found equal as it is, and is then spoilt in one place at a time.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import tifffile
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.model import ChunkTable, Group
from refmaker.testing.reading import decode_array

verify = partial(refmaker.verify, isolate="never", sample=None)


def netcdf(folder, count, **how):
    """Write files with coordinates that are inlined and data that are not."""
    rng = np.random.default_rng(0)
    paths = []
    for day in range(count):
        data = xr.Dataset(
            {
                "t": (("time", "lat", "lon"), rng.integers(0, 999, (4, 20, 30)).astype("i2")),
                "flag": (("time",), rng.integers(0, 9, 4).astype("i4")),
            },
            {
                "time": ("time", np.arange(4.0) + 4 * day, {"units": "days since 2000-01-01"}),
                "lat": ("lat", np.linspace(-40, 40, 20)),
                "lon": ("lon", np.linspace(0, 90, 30)),
                "height": ((), 2.0),
            },
        )
        data.t.attrs.update(scale_factor=0.5, add_offset=3.0, units="K")
        path = folder / f"{day}.nc"
        data.to_netcdf(path, **how)
        paths.append(str(path))
    return paths


def netcdf4(folder, count):
    return netcdf(folder, count, engine="h5netcdf", encoding={"t": {"chunksizes": (2, 20, 30)}})


def netcdf3(folder, count):
    return netcdf(folder, count, format="NETCDF3_CLASSIC", unlimited_dims=["time"])


def single(make, folder):
    return refmaker.scan(make(folder, 1)[0])


def joined(make, folder):
    return refmaker.combine([refmaker.scan(path) for path in make(folder, 3)], concat="time")


def appended(make, folder):
    first, *rest = [refmaker.scan(path) for path in make(folder, 3)]
    refmaker.combine([first], concat="time").write(folder / "set.json")
    refmaker.append(folder / "set.json", rest, concat="time")
    return refmaker.read(folder / "set.json")


def tiff(folder):
    path = folder / "a.tif"
    values = np.random.default_rng(1).integers(0, 255, (64, 64)).astype("u2")
    geo = [(33550, 12, 3, (0.5, 0.5, 0.0)), (33922, 12, 6, (0.0, 0.0, 0.0, 10.0, 50.0, 0.0))]
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)
    tags = [(*tag, True) for tag in geo] + [(34735, 3, len(keys), keys, True)]
    tifffile.imwrite(path, values, tile=(32, 32), compression="deflate", extratags=tags)
    return refmaker.scan(path)


def reencoded(folder):
    """Join times that were counted from different days."""
    paths = netcdf4(folder, 2)
    with xr.open_dataset(paths[1], decode_cf=False) as file:
        data = file.load()
    data["time"] = data.time - 4
    data.time.attrs["units"] = "days since 2000-01-05"
    data.to_netcdf(folder / "other.nc", engine="h5netcdf")
    sets = [refmaker.scan(path) for path in (paths[0], str(folder / "other.nc"))]
    return refmaker.combine(sets, concat="time", times="reencode")


def small(folder):
    """Join files of which everything is inlined: only coordinates tell their places."""
    paths = []
    for day in (1, 0):
        data = xr.Dataset(
            {"v": ("time", np.arange(3) + 10 * day)}, {"time": np.arange(3.0) + 3 * day}
        )
        data.to_netcdf(folder / f"{day}.nc", engine="h5netcdf")
        paths.append(str(folder / f"{day}.nc"))
    return refmaker.combine([refmaker.scan(path) for path in paths], concat="time")


def grib(folder, count):
    from tests.scanners.grib.messages import message

    paths = []
    for day in range(count):
        parts = [
            message(
                shortName="t", level=level, dataDate=20240101 + 2 * day + date, seed=level + date
            )
            for level in (500, 850)
            for date in (0, 1)
        ]
        path = folder / f"{day}.grib2"
        path.write_bytes(b"".join(parts))
        paths.append(str(path))
    return paths


def dicom(folder):
    from tests.scanners.dicom.image_files import save_all, slice_of

    slices = [slice_of((0.0, 0.0, 2.5 * number), number) for number in range(1, 5)]
    return refmaker.scan(save_all(folder, slices))


KINDS = {
    "netcdf4": partial(single, netcdf4),
    "netcdf3": partial(single, netcdf3),
    "joined-netcdf4": partial(joined, netcdf4),
    "joined-netcdf3": partial(joined, netcdf3),
    "appended": partial(appended, netcdf4),
    "reencoded": reencoded,
    "small": small,
    "tiff": tiff,
    "grib": partial(single, grib),
    "joined-grib": partial(joined, grib),
    "dicom": dicom,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return cache(lambda kind: KINDS[kind](tmp_path_factory.mktemp(kind)))


def changed(refs, path, array):
    """Return the set with another array in an array's place."""

    def put(group, parts):
        name, *rest = parts
        inner = put(group.members[name], rest) if rest else array
        return replace(group, members={**group.members, name: inner})

    return replace(refs, group=put(refs.group, path.split("/")))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_is_equal(kind, made):
    checks = verify(made(kind))
    assert {check.path: (check.verdict, check.reason, check.metadata) for check in checks} == {
        check.path: ("equal", "", "") for check in checks
    }
    assert all(check.compared == check.chunks for check in checks)


def spoilt(draw, array):
    """Return the array with one thing wrong."""
    table = array.chunks
    ways = ["fill"]
    ways += ["inlined"] if table.inlined else []
    ways += ["offset", "swap"] if table.referenced > 1 else []
    ways += [name for name in ("scale_factor", "units", "_FillValue") if name in array.attributes]
    way = draw(st.sampled_from(ways))
    if way == "inlined":
        values = np.array(decode_array(array)).reshape(array.shape)
        at = draw(st.integers(0, max(0, values.size - 1)))
        values.reshape(-1)[at] += draw(st.sampled_from([1, -3]))
        whole = ChunkTable.inline((1,) * values.ndim, {0: values.tobytes()})
        plain = {"filters": (), "compressor": None, "order": "C", "chunk_shape": values.shape}
        return way, replace(array, chunks=whole, **plain)
    if way in ("offset", "swap"):
        offset, length = table.offset.copy(), table.length.copy()
        one = draw(st.integers(0, table.referenced - 1))
        other = draw(st.integers(0, table.referenced - 1).filter(lambda n: n != one))
        if way == "offset":
            offset[one] = offset[one] + 2
        else:
            offset[[one, other]] = offset[[other, one]]
            length[[one, other]] = length[[other, one]]
            if table.url is not None:
                url = table.url.copy()
                url[[one, other]] = url[[other, one]]
                table = replace(table, url=url)
        return way, replace(array, chunks=replace(table, offset=offset, length=length))
    if way == "fill":
        return way, replace(array, fill_value=array.dtype.type(77))
    value = array.attributes[way]
    wrong = "hours since 1999-01-01" if isinstance(value, str) else value * 2 + 1
    return way, replace(array, attributes={**array.attributes, way: wrong})


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_spoilt_is_found(kind, made, data):
    refs = made(kind)
    # The number in a grid mapping means nothing.
    paths = [path for path, _ in refs.group.arrays() if not path.endswith("crs")]
    path = data.draw(st.sampled_from(paths))
    way, wrong = spoilt(data.draw, refs.group[path])
    checks = {check.path: check for check in verify(changed(refs, path, wrong))}
    # Where fields and coordinates contradict each other, either can be the one that is told.
    found = {check.verdict for check in checks.values()}
    assert found & ({"different", "not compared"} if way == "offset" else {"different"}), way


def test_a_coordinate_from_elsewhere_is_not_compared(tmp_path):
    (path,) = netcdf4(tmp_path, 1)
    shutil.copy(path, tmp_path / "copy.nc")
    refs = refmaker.combine(
        [refmaker.scan(name) for name in (path, tmp_path / "copy.nc")],
        concat="run",
        coords={"run": [7, 8]},
    )
    checks = {check.path: check for check in verify(refs)}
    assert checks["run"].verdict == "not compared"
    assert "none of its files" in checks["run"].reason


def test_a_group_of_nothing(tmp_path):
    with pytest.raises(refmaker.errors.MetadataError):
        verify(refmaker.ReferenceSet(Group()))
