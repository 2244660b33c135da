"""Real files of other people's making, in the folder ``hdf4`` of a corpus; see test_corpus.py."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pyhdf.SD import SD

from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.hdf4 import files

SHARED = Path(__file__).parents[4] / "shared"
GIVEN = os.environ.get("REFMAKER_CORPUS")
FOLDERS = [Path(GIVEN)] if GIVEN else [SHARED / "corpus", SHARED / "corpus_more"]
FOUND = sorted(path for folder in FOLDERS for path in (folder / "hdf4").glob("*.*"))
NAMED = {path.name: path for path in FOUND}
KEPT = (Outcome.REFERENCED, Outcome.INLINED)
ABSENT = pytest.mark.skipif(not FOUND, reason="the corpus is not there; see REFMAKER_CORPUS")

DATASETS = {
    "hdf4__sds_szipped.dat": 1,
    "hdf4__test.hdf": 5,
    "virtualizarr__MOD14.hdf4": 30,
    "virtualizarr__synthetic_fires.hdf4": 2,
    "wradlibdata__2A-CS-151E24S154E30S.TRMM.PR.2A23.20100206-S111425-E111526.069662.7.HDF": 50,
    "wradlibdata__2A-RW-BRS.TRMM.PR.2A23.20100206-S111422-E111519.069662.7.HDF": 16,
    "hdf4__litend.dat": 8,
    "hdf4__ntcheck.hdf": 7,
    "hdf4__sds_compressed.hdf": 3,
    "hdf4__swi8.hdf": 1,
    "netcdfc__ref_chunked.hdf4": 14,
}
"""Data sets without those that are a dimension's values: 137 in all."""
REFUSED = {
    "hdf4__IMCOMP.hdf": {"hdf4-coder": 1},
    "hdf4__Tables.hdf": {"hdf4-external": 4},  # its records lie in a file that is not there
    "hdf4__grtdfi322.hdf": {"hdf4-interlace": 2},
    "hdf4__test.cdf": {"hdf4-old-netcdf": 5},
}
WITHOUT_ORACLE = {
    ("hdf4__sds_szipped.dat", "TwoDimsInt32"),
    ("hdf4__sds_compressed.hdf", "SDSszip"),
}
"""What pyhdf's build of the library does not decode."""


@ABSENT
@pytest.mark.parametrize("path", FOUND, ids=[path.name[:40] for path in FOUND])
def test_everything_is_what_the_library_reads(path):
    group, report = files.scan(path)
    arrays = dict(group.arrays())
    assert Counter(row.code for row in report.skipped) == REFUSED.get(path.name, {})
    assert {row.path.strip("/") for row in report.having(*KEPT)} == set(arrays)
    stock = open_stock(group)
    with Source(path) as source, HDF4Scanner().native(source) as native:
        for name, array in arrays.items():
            if (path.name, name) in WITHOUT_ORACLE:
                continue
            true = native.read(name, array, tuple(slice(0, n) for n in array.shape))
            for ours in (decode_array(array), stock[name][...]):
                same = same_values(np.asarray(ours), true)
                if array.compressor == {"id": "imagecodecs_jpeg"}:
                    same = abs(np.asarray(ours).astype(int) - true.astype(int)).max() <= 1
                assert same, name


@ABSENT
@pytest.mark.parametrize("name", [name for name in DATASETS if name in NAMED])
def test_every_data_set_is_there(name):
    native = SD(str(NAMED[name]))
    true = [
        one.info()[0] for one in map(native.select, range(native.info()[0])) if not one.iscoordvar()
    ]
    native.end()
    group, _ = files.scan(NAMED[name])
    found = Counter(path.rpartition("/")[2] for path, _ in group.arrays())
    assert len(true) == DATASETS[name]
    assert not Counter(true) - found


@pytest.mark.skipif(
    "hdf4__litend.dat" not in NAMED, reason="the corpus is not there; see REFMAKER_CORPUS"
)
def test_little_endian_ramps():
    group, _ = files.scan(NAMED["hdf4__litend.dat"])
    ramp, count = 10 * np.arange(9)[:, None] + np.arange(7), 0
    for _, array in group.arrays():
        assert np.array_equal(decode_array(array), ramp)
        count += array.shape[0] * array.shape[1]
    assert count == 504


@pytest.mark.skipif(
    "hdf4__sds_szipped.dat" not in NAMED, reason="the corpus is not there; see REFMAKER_CORPUS"
)
def test_szip_as_the_test_of_the_library_has_it():
    group, _ = files.scan(NAMED["hdf4__sds_szipped.dat"])
    values = decode_array(group["TwoDimsInt32"])
    assert values[0].tolist() == [100, 100, 200, 200, 300]
    assert values[-1].tolist() == [500, 500, 600, 600, 300]


@pytest.mark.skipif(
    "hdf4__sds_compressed.hdf" not in NAMED, reason="the corpus is not there; see REFMAKER_CORPUS"
)
def test_three_codings_of_the_same_values():
    group, _ = files.scan(NAMED["hdf4__sds_compressed.hdf"])
    first, second, third = (decode_array(array) for _, array in group.arrays())
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)


@pytest.mark.skipif(
    "hdf4__test.hdf" not in NAMED, reason="the corpus is not there; see REFMAKER_CORPUS"
)
def test_records_of_each_variable():
    group, _ = files.scan(NAMED["hdf4__test.hdf"])
    rows = {name: group[name].shape[0] for name in ("Byte", "Short", "Float", "Double")}
    assert rows == {"Byte": 9, "Short": 3, "Float": 8, "Double": 1}


@pytest.mark.skipif(
    "netcdfc__ref_chunked.hdf4" not in NAMED, reason="the corpus is not there; see REFMAKER_CORPUS"
)
def test_grid_of_a_real_file():
    group, _ = files.scan(NAMED["netcdfc__ref_chunked.hdf4"])
    x = decode_array(group["demGRID/x"])
    assert x[0] == pytest.approx(-20015109.354 + 0.5 * 926.625, abs=1e-3)
    assert group["demGRID/spatial_ref"].attributes["semi_major_axis"] == 6371007.181
    assert group["dem_coarseGRID/ElevationCoarse"].dimension_names == ("y", "x")
