"""The layout ``cfgrib`` gives cfgrib's own datasets, wherever cfgrib keeps every field."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from refmaker.io.source import Source
from refmaker.reading.open import open_store
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.corpora import CORPUS
from tests.scanners.grib.messages import message

NEAR = 1e-6
pytestmark = pytest.mark.filterwarnings("ignore")

FILES = [
    "cfgrib__cams-egg4-monthly.grib",
    "cfgrib__lambert_grid.grib",
    "cfgrib__regular_gg_ml.grib",
    "cfgrib__spherical_harmonics.grib",
    "earthkitdata__chem-cams.grib",
    "earthkitdata__mercator.grib",
    "eccodes__regular_gg.grib",
    "grib_ds_an/t_pl.grib",
    "gribberish__hrrr.t06z.wrfsfcf01-CFRZR.grib2",
    "iristest__reduced_ll.grib1",
    "kerchunk__gec00_20250101_00_soilw.grib",
    "metviewpython__ztu_multi_dim.grib",
    "pillow__WAlaska.wind.7days.grb",
    "pygrib__eta.grb",
    "pygrib__ngm.grb",
]


def of_cfgrib(path):
    import cfgrib

    return cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": "", "errors": "raise"})


def ours(path):
    with Source(path) as source:
        options = ScanOptions(settings={"grib-grouping": "cfgrib"})
        group, report = GRIBScanner().scan(source, options)
    store = open_store(group)
    names = [name for name in group.members if not name.startswith("_")]
    made = [
        xr.open_zarr(store, group=name, chunks=None, consolidated=False, zarr_format=2)
        for name in names
    ]
    return made, group, report


def assert_same(mine, theirs):
    assert set(mine.variables) == set(theirs.variables)
    assert set(mine.coords) == set(theirs.coords)
    assert {k: v for k, v in mine.attrs.items() if k != "history"} == {
        k: v for k, v in theirs.attrs.items() if k != "history"
    }
    for name in theirs.variables:
        left, right = mine[name], theirs[name]
        assert left.dims == right.dims, name
        assert left.dtype == right.dtype, name
        if name in ("latitude", "longitude") and left.ndim == right.ndim and right.ndim:
            difference = np.abs(left.values - right.values)
            assert (np.minimum(difference, np.abs(difference - 360)) < NEAR).all(), name
        else:
            np.testing.assert_array_equal(left.values, right.values, err_msg=name)
        if name in theirs.data_vars:
            assert plain(left.attrs) == plain(right.attrs), name
        else:
            assert left.attrs.get("units") == right.attrs.get("units")
            assert left.attrs.get("standard_name") == right.attrs.get("standard_name")


def plain(attributes):
    return {
        key: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for key, value in attributes.items()
    }


def assert_all_the_same(path):
    theirs = of_cfgrib(path)
    mine, group, _ = ours(path)
    assert len(mine) == len(theirs)
    for left, right in zip(mine, theirs, strict=True):
        assert_same(left, right)
    return group


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.parametrize("name", FILES)
def test_real_files(name):
    path = next(CORPUS.glob(f"grib/**/*{name.rpartition('/')[2]}"))
    assert_all_the_same(path)


def test_generated_file(tmp_path):
    path = tmp_path / "made.grib"
    parts = [
        message(shortName=name, level=level, dataDate=date, step=step, seed=level + step)
        for name, level, date, step in itertools.product(
            ("t", "u"), (850, 500), (20240101, 20240102), (0, 6)
        )
    ]
    parts.append(message(shortName="2t", seed=1))
    parts.append(message(shortName="10u", seed=2))
    path.write_bytes(b"".join(parts))
    group = assert_all_the_same(path)
    assert group.attributes["refmaker:fields"]["placed"] == len(parts)


def test_what_cfgrib_loses_is_kept(tmp_path):
    path = tmp_path / "twice.grib"
    path.write_bytes(message(shortName="t", seed=1) + message(shortName="t", seed=2))
    _, group, report = ours(path)
    assert group.attributes["refmaker:fields"] == {
        "found": 2, "placed": 1, "duplicates": 1, "unsorted": 0,
    }  # fmt: skip
    assert [row.path for row in report.rows if row.code == "duplicate"] == [
        "/_duplicates/isobaricInhPa/instant/t"
    ]
