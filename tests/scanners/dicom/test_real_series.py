"""Real series of several makers, against SimpleITK where it is right and the positions else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from refmaker.testing import open_stock
from tests import corpora
from tests.scanners.dicom.test_volumes import collect, itk

ROOT = Path(__file__).parents[3]
CORPUS = corpora.CORPUS / "dicom"
pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not there; see REFMAKER_CORPUS"),
    pytest.mark.filterwarnings("ignore"),
]


def files(name):
    return sorted(str(path) for path in (CORPUS / f"dicom2nifti__{name}").iterdir())


def truth(paths):
    """Return position, number and values of every instance, as pydicom reads them."""
    read = [pydicom.dcmread(path) for path in paths]
    return [
        (np.array(data.ImagePositionPatient, float), int(data.InstanceNumber), data.pixel_array)
        for data in read
    ]


def assert_every_slice_lies_where_it_says(group, name, paths):
    """Assert that each instance is found once, at the index that its position maps to."""
    values = np.asarray(open_stock(group)[name][...])
    affine = np.array(group[name].attributes["affine"])
    inverse = np.linalg.inv(affine)
    found = 0
    for position, _, pixels in truth(paths):
        index = inverse @ [*position, 1]
        z = round(index[0])
        if np.abs(index[:3] - [z, 0, 0]).max() < 1e-3 and 0 <= z < values.shape[-3]:
            planes = values[..., z, :, :].reshape(-1, *pixels.shape)
            found += any(np.array_equal(plane, pixels) for plane in planes)
    assert found == values.size // values[0].size * (1 if values.ndim == 3 else values.shape[1])


@pytest.mark.parametrize("name", ["ge_anatomical", "series_rle", "series_jpegls", "series_rgb"])
def test_ordinary_series_are_as_simpleitk_reads_them(name):
    paths = files(name)
    group, _ = collect(paths)
    import SimpleITK

    series = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(Path(paths[0]).parent))
    true, affine = itk(list(series))
    array = group["image"]
    assert np.array_equal(open_stock(group)["image"][...], true)
    assert np.abs(np.array(array.attributes["affine"]) - affine).max() < 1e-4


def test_time_points_are_not_stacked_as_slices():
    paths = files("philips_fmri")
    group, report = collect(paths)
    array = group["image"]
    assert array.shape == (4, 2, 80, 80)
    positions = {tuple(position) for position, _, _ in truth(paths)}
    first, last = sorted(positions)
    step = np.linalg.norm(np.subtract(last, first))
    assert array.attributes["spacing"][0] == pytest.approx(step)
    assert_every_slice_lies_where_it_says(group, "image", paths)
    numbers = np.asarray(open_stock(group)["instance_number"][...])
    for _, number, pixels in truth(paths):
        t, z = (int(at[0]) for at in np.nonzero(numbers == number))
        assert np.array_equal(open_stock(group)["image"][t, z], pixels)
    assert any("instance numbers alone" in warning for warning in report.warnings)


def test_a_tilted_gantry_is_shear():
    paths = files("series_bad_gantrytilt")
    group, _ = collect(paths)
    attributes = group["image"].attributes
    assert attributes["is_sheared"] is True
    assert attributes["gantry_tilt_deg"] == pytest.approx(14, abs=0.01)
    assert_every_slice_lies_where_it_says(group, "image", paths)


def test_mixed_orientations_are_several_images():
    paths = files("series_bad_sliceorientation")
    group, _ = collect(paths)
    for name in ("image", "image_1"):
        assert group[name].shape[0] == 2
        assert_every_slice_lies_where_it_says(group, name, paths)


def test_a_real_media_directory_is_a_tree():
    folder = CORPUS / "pydicom__pydicom_dicomdir_98892003"
    group, report = collect([str(folder / "DICOMDIR")])
    true = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "DICOMDIR":
            data = pydicom.dcmread(path, stop_before_pixels=True)
            true.setdefault(data.StudyInstanceUID, set()).add(data.SeriesInstanceUID)
    assert len(group.members) == len(true)
    assert sum(len(study.members) for study in group.members.values()) == sum(
        map(len, true.values())
    )
    instances = sum(array.chunks.referenced for name, array in group.arrays() if "/image" in name)
    assert instances + len(report.skipped) == sum(
        path.is_file() and path.name != "DICOMDIR" for path in folder.rglob("*")
    )
