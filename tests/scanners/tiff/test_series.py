"""Real files: their images and levels are those that tifffile finds, or there is a reason."""

import csv
import warnings
from collections import Counter

import pytest
import rasterio
import rioxarray
import tifffile
import xarray as xr

from refmaker.errors import RefmakerError
from refmaker.testing import open_stock
from tests.corpora import CORPUS
from tests.scanners.tiff.meaning_files import pixels, scanned
from tests.scanners.tiff.test_geo import assert_as_rioxarray

DIFFERENT = {
    # tifffile does not follow files that have pixels only to their description.
    "exampletiffs__ome_master/multifile-Z2.ome.tiff": Counter({(5, 18, 24): 1}),
    "exampletiffs__ome_master/multifile-Z3.ome.tiff": Counter({(5, 18, 24): 1}),
    "exampletiffs__ome_master/multifile-Z4.ome.tiff": Counter({(5, 18, 24): 1}),
    "exampletiffs__ome_master/multifile-Z5.ome.tiff": Counter({(5, 18, 24): 1}),
    # Its pages are encoded differently: no one codec decodes both.
    "twelvemonkeys__multipage.tif": Counter({(4, 6): 3}),
}
LOSSY = ("rasterio__cogeo.tif", "rasterio__goes.tif")
"""JPEG with subsampled colours, which GDAL interpolates in its own way."""


def index(feature=""):
    """Return the paths of the corpus's TIFF files."""
    table = CORPUS / "INDEX.tsv"
    if not table.exists():
        return []
    with table.open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            row["path"] for row in rows if row["format"] == "tiff" and feature in row["features"]
        ]


def shapes_by_tifffile(path):
    """Return the shapes of all levels of all series, each sorted; None if there are none."""
    try:
        with tifffile.TiffFile(path) as tif:
            levels = [level.shape for series in tif.series for level in series.levels]
    except Exception:  # noqa: BLE001 - tifffile raises what it likes on damaged files
        return None
    return Counter(tuple(sorted(shape)) for shape in levels)


@pytest.mark.skipif(not index(), reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.parametrize("name", index())
@pytest.mark.filterwarnings("ignore")
def test_images_and_levels_are_those_of_tifffile(name):
    path = CORPUS / name
    try:
        group, report = scanned(path)
    except RefmakerError as error:
        if str(path) not in str(error):
            raise
        return
    if report.format != "tiff":
        # DICOM in a TIFF file, whose directory is cut off.
        return
    found = Counter(
        tuple(sorted(array.shape))
        for where, array in group.arrays()
        if where.rpartition("/")[2] in ("image", "mask")
    )
    want = shapes_by_tifffile(path)
    if want is None:
        return
    want = DIFFERENT.get(name.partition("/")[2], want)
    assert not found - want
    assert (want - found).total() <= len(report.skipped)


@pytest.mark.skipif(not index(), reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.parametrize("name", index("geotiff"))
@pytest.mark.filterwarnings("ignore")
def test_geotiffs_are_those_of_rioxarray(name):
    path = CORPUS / name
    with rasterio.open(path) as file:
        if file.count == 0:
            return
    group, _ = scanned(path)
    level = "" if "image" in group.members else "0"
    if path.name not in LOSSY:
        assert_as_rioxarray(path, level)
        return
    dataset = xr.open_dataset(open_stock(group).store, engine="zarr", group=level, chunks={})
    with rioxarray.open_rasterio(path) as theirs:
        assert dataset["image"].rio.crs == theirs.rio.crs
        assert dataset["image"].rio.transform(recalc=False) == theirs.rio.transform(recalc=False)
        assert (dataset["x"].values == theirs["x"].values).all()


@pytest.mark.skipif(not index(), reason="the corpus is not there; see REFMAKER_CORPUS")
def test_levels_of_real_files_open_as_a_tree():
    counted = 0
    for name in index("geotiff"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group, _ = scanned(CORPUS / name)
            tree = xr.open_datatree(open_stock(group).store, engine="zarr", chunks={})
        for where, array in pixels(group).items():
            assert tree[where].shape == array.shape
            counted += 1
    assert counted >= 38
