"""NGFF 0.5, which is Zarr 3: as references, as a real store, and where it is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr
from click.testing import CliRunner
from ome_zarr.format import FormatV05
from ome_zarr.io import ZarrLocation
from ome_zarr.reader import Reader
from ome_zarr_models.v05 import BioFormats2Raw, Image

import refmaker
from refmaker.cli import main
from refmaker.errors import UnsupportedError
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from tests.scanners.tiff.meaning_files import noise
from tests.scanners.tiff.test_ngff import FILES, gray

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def scan(path):
    return refmaker.scan(str(path), options=ScanOptions(settings={"ngff": "0.5"}))


def series(tmp_path):
    """Write a file of two images."""
    data = [noise(2, 64, 48, seed=1), noise(32, 16, seed=2)]
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data[0], metadata={"axes": "CYX"})
        tif.write(data[1], metadata={"axes": "YX"})
    return path, data


def check(group, data):
    image = Image.from_zarr(group)
    (multiscale,) = image.ome_attributes.multiscales
    names = [axis.name for axis in multiscale.axes]
    for level, dataset in enumerate(multiscale.datasets):
        array = group[dataset.path]
        assert list(array.metadata.dimension_names) == names
        assert np.array_equal(array[...], data[..., :: 2**level, :: 2**level])


@pytest.mark.parametrize("make", FILES)
def test_references(tmp_path, make):
    path, data = make(tmp_path)
    refs = scan(path)
    check(refmaker.open_group(refs), data)
    refs.write(tmp_path / "a.json")
    assert "zarr.json" in json.loads((tmp_path / "a.json").read_text())["refs"]
    check(refmaker.open_group(tmp_path / "a.json"), data)
    ReferenceSet.read(tmp_path / "a.json").write(tmp_path / "b.json")
    assert "zarr.json" in json.loads((tmp_path / "b.json").read_text())["refs"]
    stock = zarr.open_group("reference://", mode="r", storage_options={"fo": f"{tmp_path}/a.json"})
    check(stock, data)


@pytest.mark.parametrize("make", FILES)
def test_a_real_store_that_viewers_read(tmp_path, make):
    path, data = make(tmp_path)
    assert refmaker.materialize(scan(path), tmp_path / "out.zarr", recode="zstd").complete
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    check(group, data)
    named = {codec["name"] for _, array in _arrays(group) for codec in array.to_dict()["codecs"]}
    assert named == {"bytes", "zstd"}
    (node,) = Reader(ZarrLocation(str(tmp_path / "out.zarr"), fmt=FormatV05()))()
    assert np.array_equal(np.asarray(node.data[0]), data)


def _arrays(group):
    for name, array in group.arrays():
        yield name, array.metadata
    for _, inner in group.groups():
        yield from _arrays(inner)


def test_several_images(tmp_path):
    path, data = series(tmp_path)
    refmaker.materialize(scan(path), tmp_path / "out.zarr", recode="gzip")
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    model = BioFormats2Raw.from_zarr(group)
    assert model.image_paths == ["0", "1"]
    assert group["OME"].attrs["ome"] == {"version": "0.5", "series": ["0", "1"]}
    for name, wanted in zip("01", data, strict=True):
        check(group[name], wanted)


@pytest.mark.parametrize(
    ("form", "version"), [("parquet", "auto"), ("compact", "auto"), ("json", 2)]
)
def test_version_2_is_refused(tmp_path, form, version):
    refs = scan(gray(tmp_path)[0])
    with pytest.raises(UnsupportedError, match=r"NGFF 0\.5 is of version 3") as error:
        refs.write(tmp_path / "out", format=form, zarr_format=version)
    assert error.value.code == "zarr-format"
    assert "'ngff': '0.4'" in error.value.hint
    assert not (tmp_path / "out").exists()


def test_command_and_its_remedy(tmp_path):
    path, data = gray(tmp_path)
    words = ["scan", str(path), "-o", str(tmp_path / "a.parquet"), "--ngff"]
    refused = CliRunner().invoke(main, [*words, "0.5"])
    assert refused.exit_code
    assert "--ngff 0.4" in refused.output
    assert CliRunner().invoke(main, [*words, "0.4"]).exit_code == 0
    words = ["scan", str(path), "-o", str(tmp_path / "a.json"), "--ngff", "0.5"]
    assert CliRunner().invoke(main, words).exit_code == 0
    check(refmaker.open_group(tmp_path / "a.json"), data)
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "a.json")]).exit_code == 0
