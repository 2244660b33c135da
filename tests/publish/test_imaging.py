"""Volumes in other libraries: what their own readers make of the same files."""

from __future__ import annotations

import builtins
import subprocess
import sys

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as everybody calls it
from hypothesis import given
from hypothesis import strategies as st
from phantom import write_study
from phantom.study import DIRECTIONS

import refmaker
from refmaker.errors import MetadataError, MissingDependencyError, UnsupportedError
from refmaker.publish.imaging.monai_tensor import tensor_parts
from tests.scanners.dicom.image_files import (
    AXIAL,
    PET,
    SAGITTAL,
    save_all,
    slice_of,
)
from tests.scanners.nifti.files import AFFINE, write, write_colours

OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


def stack(folder, *, orientation=AXIAL, step=2.5, shear=0.0, count=4, **elements):
    """Write a series of slices, and return its folder and data sets in order of position."""
    folder.mkdir()
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    along = np.cross(row, column) * step + column * shear
    first = np.array([-11.0, 7.5, 31.0])
    made = [
        slice_of(first + along * k, k + 1, orientation=orientation, **elements)
        for k in range(count)
    ]
    save_all(folder, made)
    return str(folder), made


def itk(folder):
    """Return what SimpleITK's own reader makes of a series."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    return reader.Execute()


def corners(shape):
    return [
        [x, y, z] for x in (0, shape[0] - 1) for y in (0, shape[1] - 1) for z in (0, shape[2] - 1)
    ]


def same_places(image, other):
    """Tell how far voxels of two images lie apart at most, millimetres."""
    return max(
        np.abs(
            np.subtract(
                image.TransformIndexToPhysicalPoint(at), other.TransformIndexToPhysicalPoint(at)
            )
        ).max()
        for at in corners(image.GetSize())
    )


@pytest.mark.parametrize(
    "scale",
    [
        {},
        {"RescaleSlope": 2, "RescaleIntercept": -1024},
        {"RescaleSlope": 0.25, "RescaleIntercept": 3},
    ],
)
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
def test_series_are_as_simpleitk_reads_them(tmp_path, orientation, scale):
    folder, _ = stack(tmp_path / "a", orientation=orientation, **scale)
    image, own = refmaker.to_sitk(folder), itk(folder)
    assert image.GetSize() == own.GetSize()
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(own))
    assert same_places(image, own) < 1e-9
    stored = sitk.GetArrayFromImage(refmaker.to_sitk(folder, scaled=False))
    assert stored.dtype == np.uint16
    assert np.allclose(
        stored.astype(float) * scale.get("RescaleSlope", 1.0) + scale.get("RescaleIntercept", 0.0),
        sitk.GetArrayFromImage(image),
    )
    assert all(
        isinstance(key, str) and "Sentinel" not in image.GetMetaData(key)
        for key in image.GetMetaDataKeys()
    )


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("shear", [0.0, 0.4])
def test_every_voxel_of_nibabel_lies_where_its_file_says(tmp_path, orientation, shear):
    folder, made = stack(tmp_path / "a", orientation=orientation, shear=shear)
    image = refmaker.to_nibabel(folder)
    assert image.shape == (5, 6, 4)
    for k, data in enumerate(made):
        position, cosines = (
            np.array(data.ImagePositionPatient),
            np.array(data.ImageOrientationPatient),
        )
        # From row and column to LPS (PS3.3, C.7.6.2.1.1), and to RAS.
        true = position + cosines[:3] * 3.0 * 2 + cosines[3:] * 2.0 * 4
        assert np.allclose(image.affine @ [2, 4, k, 1], [-true[0], -true[1], true[2], 1], atol=1e-6)
        assert np.array_equal(image.dataobj[..., k], data.pixel_array.T)
    assert image.get_data_dtype() == np.uint16
    nibabel.save(image, tmp_path / "a.nii.gz")
    again = nibabel.load(tmp_path / "a.nii.gz")
    assert np.allclose(again.affine, image.affine, atol=1e-5)
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(image.dataobj))
    assert again.header.get_xyzt_units()[0] == "mm"


def test_nibabel_reads_what_is_asked_for(tmp_path, monkeypatch):
    folder, made = stack(tmp_path / "a", count=6)
    image = refmaker.to_nibabel(folder)
    assert nibabel.is_proxy(image.dataobj)
    asked = []
    read = type(image.dataobj)._read
    monkeypatch.setattr(
        type(image.dataobj),
        "_read",
        lambda self, region: asked.append(region) or read(self, region),
    )
    whole = np.stack([data.pixel_array.T for data in made], axis=-1)
    for key in (
        np.s_[1:3, :, 2],
        np.s_[..., ::-1],
        np.s_[-1, ::-2, 4:1:-1],
        np.s_[2],
        np.s_[..., None, 3],
        np.s_[4:1, :, 0],
        np.s_[[0, 2], 1],
    ):
        assert np.array_equal(image.dataobj[key], whole[key]), key
    assert asked[0] == [slice(1, 3, 1), slice(0, 6, 1), slice(2, 3)]
    part = image.slicer[1:3, :, ::2]
    assert np.array_equal(np.asarray(part.dataobj), whole[1:3, :, ::2])
    assert np.allclose(part.affine @ [0, 0, 1, 1], image.affine @ [1, 0, 2, 1])


def test_sheared_slices_are_refused_by_simpleitk(tmp_path):
    folder, _ = stack(tmp_path / "a", shear=0.4)
    with pytest.raises(UnsupportedError, match="sheared") as error:
        refmaker.to_sitk(folder)
    assert error.value.code == "sheared"
    assert "refmaker.to_nibabel" in error.value.hint
    affine = refmaker.to_nibabel(folder).affine
    assert abs(affine[:3, 2] @ affine[:3, 1]) > 1e-3


def test_every_slice_has_its_own_scaling(tmp_path):
    folder = tmp_path / "pet"
    folder.mkdir()
    made = [
        slice_of(
            (0, 0, 3.0 * k), k + 1, RescaleSlope=f"{0.5 + k}", RescaleIntercept="0", Modality="PT"
        )
        for k in range(4)
    ]
    for data in made:
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = PET
    save_all(folder, made)
    right = np.stack([d.pixel_array * (0.5 + k) for k, d in enumerate(made)])
    assert np.array_equal(sitk.GetArrayFromImage(refmaker.to_sitk(folder)), right)
    image = refmaker.to_nibabel(str(folder))
    assert np.array_equal(image.get_fdata(), right.T)
    assert np.array_equal(image.dataobj[1, 2:4, 3], right[3, 2:4, 1])


def test_scaling_without_one_reading_is_refused(tmp_path):
    folder, _ = stack(tmp_path / "a", count=2, RescaleSlope="2", RescaleIntercept="0")
    third = slice_of((-11, 7.5, 36.0), 9)
    save_all(tmp_path / "a", [third])
    with pytest.raises(UnsupportedError, match="rescaling") as error:
        refmaker.to_sitk(folder)
    assert error.value.hint == "take the stored values, with scaled set to False"
    assert refmaker.to_sitk(folder, scaled=False).GetSize()[:2] == (5, 6)


def test_missing_slices_are_refused_or_filled(tmp_path):
    folder, made = stack(tmp_path / "a", count=6, RescaleSlope="1", RescaleIntercept="-1024")
    for path in (tmp_path / "a").iterdir():
        if path.read_bytes() and sitk.ReadImage(str(path)).GetMetaData("0020|0013").strip() == "3":
            path.unlink()
    with pytest.raises(UnsupportedError, match=r"slices 2\)") as error:
        refmaker.to_nibabel(folder)
    assert error.value.hint.endswith("fill_value=0")
    image = refmaker.to_nibabel(folder, fill_value=24)
    assert np.all(image.dataobj[..., 2] == -1000)
    assert np.array_equal(image.dataobj[..., 3], made[3].pixel_array.T.astype(int) - 1024)


def test_without_an_affine_one_has_to_be_passed(tmp_path):
    folder, made = stack(tmp_path / "a", count=1)
    with pytest.raises(UnsupportedError, match="no distance between slices") as error:
        refmaker.to_sitk(folder)
    assert "affine=" in error.value.hint
    image = refmaker.to_sitk(folder, affine=np.diag([-2.0, -3.0, 4.0, 1.0])[:, [2, 1, 0, 3]])
    assert image.GetSpacing() == (2.0, 3.0, 4.0)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        refmaker.to_sitk(folder, affine=np.eye(3))
    assert np.array_equal(sitk.GetArrayFromImage(image)[0], made[0].pixel_array)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return str(write_study(tmp_path_factory.mktemp("study")))


def test_one_volume_of_several_has_to_be_named(study):
    with pytest.raises(MetadataError, match="there are 4 volumes") as error:
        refmaker.to_nibabel(study)
    assert "path='study-1/series-1/image'" in error.value.hint
    with pytest.raises(MetadataError, match="no such array"):
        refmaker.to_nibabel(study, "study-2")
    by_group = refmaker.to_nibabel(study, "study-1/series-1")
    assert by_group.shape == (96, 96, 40)
    labels = refmaker.to_nibabel(study, "/study-1/series-1/labels/series-4")
    assert np.array_equal(labels.affine, by_group.affine)
    with pytest.raises(UnsupportedError, match="no volume over z, y and x"):
        refmaker.to_sitk(study, "study-1/series-1/z")


def test_diffusion_is_a_fourth_dimension_with_its_directions(study):
    image = refmaker.to_nibabel(study, "study-1/series-2")
    assert image.shape == (32, 32, 8, 5)
    values, vectors = refmaker.fsl_gradients(study, "study-1/series-2")
    assert values.tolist() == [0, 1000, 1000, 1000, 1000]
    # FSL: along the image's axes, the first negated where the determinant is positive.
    axes = image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    assert np.linalg.det(axes) > 0
    patient = (vectors * [-1, 1, 1]) @ axes.T * [-1, -1, 1]
    assert not vectors[0].any()
    order = [int(np.argmin(np.linalg.norm(DIRECTIONS - one, axis=1))) for one in patient[1:]]
    assert sorted(order) == [0, 1, 2, 3]
    assert np.allclose(patient[1:], DIRECTIONS[order])
    four = refmaker.to_sitk(study, "study-1/series-2")
    assert four.GetSize() == (32, 32, 8, 5)
    assert four.GetSpacing() == (6.0, 6.0, 12.0, 1.0)
    assert four.GetMetaData("DWMRI_b-value") == "1000"
    told = [
        [float(part) for part in four.GetMetaData(f"DWMRI_gradient_{k:04d}").split()]
        for k in range(5)
    ]
    assert np.allclose(told, patient)
    assert np.array_equal(sitk.GetArrayFromImage(four), np.asarray(image.dataobj).T)
    third = refmaker.to_sitk(study, "study-1/series-2", isel={"diffusion": 3})
    assert np.array_equal(sitk.GetArrayFromImage(third), sitk.GetArrayFromImage(four)[3])
    assert third.GetDimension() == 3
    with pytest.raises(UnsupportedError, match="no b-values"):
        refmaker.fsl_gradients(study, "study-1/series-1")
    with pytest.raises(ValueError, match="there are: diffusion"):
        refmaker.to_sitk(study, "study-1/series-2", isel={"time": 0})
    with pytest.raises(IndexError, match="which has 5"):
        refmaker.to_sitk(study, "study-1/series-2", isel={"diffusion": 5})


def test_oblique_directions_follow_the_axes(tmp_path):
    folder, made = stack(tmp_path / "a", orientation=OBLIQUE, count=2)
    more = []
    vector = np.array([0.6, 0.0, -0.8])
    for k, data in enumerate(made):
        data.DiffusionBValue = 0.0
        weighted = slice_of(data.ImagePositionPatient, 10 + k, orientation=OBLIQUE)
        weighted.DiffusionBValue, weighted.DiffusionGradientOrientation = 700.0, vector.tolist()
        more.append(weighted)
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    save_all(tmp_path / "a", [*made, *more])
    _, vectors = refmaker.fsl_gradients(folder)
    row, column = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    # As dcm2niix has it of an image whose rows it turns, and so whose determinant is negative:
    # along row, against column, along normal. Here the second and third axes are as stored.
    right = [-(row @ vector), column @ vector, np.cross(row, column) @ vector]
    assert np.allclose(vectors[1], right, atol=1e-6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("scale", [{}, {"scl_slope": 0.5, "scl_inter": 2.0}])
def test_nifti_is_as_nibabel_reads_it(tmp_path, version, order, scale):
    affine = np.array(
        [[-1.9, 0.2, 0.3, 10], [0.1, 2.9, -0.5, -5.5], [0.2, 0.4, 3.9, 7], [0, 0, 0, 1]]
    )
    values = np.random.default_rng(3).integers(-200, 200, (4, 5, 6, 3)).astype("i2")
    path = str(
        write(
            tmp_path / "a.nii",
            values,
            version,
            order,
            affine=affine,
            pixdim=[1, 2, 3, 4, 1.5, 1, 1, 1],
            **scale,
        )
    )
    own, image = nibabel.load(path), refmaker.to_nibabel(path)
    assert np.array_equal(image.affine, own.affine)
    assert np.array_equal(image.get_fdata(), own.get_fdata())
    assert np.array_equal(image.dataobj[1, ..., 2], own.dataobj[1, ..., 2])
    assert image.header.get_xyzt_units() == own.header.get_xyzt_units()
    assert image.header.get_zooms()[3:] == own.header.get_zooms()[3:] == (1.5,)
    stored = refmaker.to_nibabel(path, scaled=False)
    assert np.array_equal(np.asarray(stored.dataobj), values)


def test_nifti_is_as_simpleitk_reads_it(tmp_path):
    values = np.random.default_rng(3).integers(-200, 200, (4, 5, 6)).astype("i2")
    path = str(write(tmp_path / "a.nii", values, 1, "<"))
    own, image = sitk.ReadImage(path), refmaker.to_sitk(path)
    assert np.array_equal(sitk.GetArrayFromImage(own), sitk.GetArrayFromImage(image))
    assert same_places(own, image) < 1e-5
    micrometres = nibabel.Nifti1Image(values, AFFINE)
    micrometres.header.set_xyzt_units("micron", "sec")
    nibabel.save(micrometres, tmp_path / "b.nii")
    own, image = sitk.ReadImage(str(tmp_path / "b.nii")), refmaker.to_sitk(tmp_path / "b.nii")
    assert same_places(own, image) < 1e-8
    again = refmaker.to_nibabel(tmp_path / "b.nii")
    assert again.header.get_xyzt_units()[0] == "micron"
    assert np.array_equal(again.affine, AFFINE)


def test_nifti_without_orientation_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), "i2"), None)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(UnsupportedError, match="affine_ras"):
        refmaker.to_nibabel(tmp_path / "a.nii")


def test_colours_are_records_or_components(tmp_path):
    values = np.random.default_rng(3).integers(0, 200, (4, 5, 6)).astype("u1")
    path = write_colours(tmp_path / "a.nii", values)
    own, image = nibabel.load(path), refmaker.to_nibabel(path)
    assert image.shape == (4, 5, 6)
    assert np.array_equal(np.asarray(own.dataobj), np.asarray(image.dataobj))
    assert np.array_equal(own.dataobj[1:3, 2], image.dataobj[1:3, 2])
    colour = refmaker.to_sitk(path)
    assert colour.GetNumberOfComponentsPerPixel() == 3
    assert np.array_equal(
        sitk.GetArrayFromImage(colour), sitk.GetArrayFromImage(sitk.ReadImage(path))
    )
    parts, _, meta = tensor_parts(path)
    assert parts.shape == (4, 5, 6, 3)
    assert meta["original_channel_dim"] == -1


SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "RAS": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
}
"""Spaces of NRRD, and their axes times those of LPS."""


@pytest.mark.parametrize("space", SPACES)
def test_nrrd_is_as_simpleitk_reads_it(tmp_path, space):
    values = np.random.default_rng(3).integers(-200, 200, (4, 5, 6)).astype("i2")
    directions = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, -3.0], [1.5, 0.0, 0.0]])
    header = {
        "space": space,
        "space directions": directions,
        "space origin": [1.0, 2.0, 3.0],
        "kinds": ["domain"] * 3,
    }
    path = str(tmp_path / "a.nrrd")
    nrrd.write(path, values, header, index_order="F")
    image = refmaker.to_sitk(path)
    assert np.array_equal(sitk.GetArrayFromImage(image), values.T)
    for at in corners(values.shape):
        true = (directions.T @ at + [1, 2, 3]) * SPACES[space]
        assert np.allclose(image.TransformIndexToPhysicalPoint(at), true)
    if space != "left-anterior-superior":
        assert same_places(image, sitk.ReadImage(path)) < 1e-9
    nrrd.write(path, values, {**header, "space": "scanner-xyz"}, index_order="F")
    with pytest.raises(UnsupportedError, match="affine_ras"):
        refmaker.to_sitk(path)


def test_components_before_space_come_behind_it(tmp_path):
    """Lists of NRRD vary fastest, so that they are the last dimension of the set."""
    values = np.random.default_rng(3).integers(0, 200, (7, 4, 5, 6)).astype("i2")
    header = {
        "space": "LPS",
        "space directions": np.vstack([np.full(3, np.nan), np.eye(3)]),
        "space origin": [0.0, 0, 0],
        "kinds": ["list", *["domain"] * 3],
    }
    path = str(tmp_path / "a.nrrd")
    nrrd.write(path, values, header, index_order="F")
    image = refmaker.to_nibabel(path)
    assert image.shape == (4, 5, 6, 7)
    assert np.array_equal(np.asarray(image.dataobj), np.moveaxis(values, 0, -1))
    assert np.array_equal(image.dataobj[1, 2:4, 3, 5], values[5, 1, 2:4, 3])


def test_parts_of_tensors(study, tmp_path):
    image = refmaker.to_nibabel(study, "study-1/series-1")
    values, affine, meta = tensor_parts(study, "study-1/series-1")
    assert np.array_equal(values, np.asarray(image.dataobj))
    assert np.array_equal(affine, image.affine)
    assert meta["space"] == "RAS"
    assert np.isnan(meta["original_channel_dim"])
    assert meta["spatial_shape"].tolist() == [96, 96, 40]
    four, _, meta = tensor_parts(study, "study-1/series-2")
    assert four.shape == (32, 32, 8, 5)
    assert four.dtype == np.int32  # torch has hardly an operation for uint16
    assert meta["original_channel_dim"] == -1


@pytest.mark.parametrize(
    ("missing", "name"),
    [("nibabel", "to_nibabel"), ("SimpleITK", "to_sitk"), ("monai", "to_monai")],
)
def test_missing_libraries_are_named(tmp_path, monkeypatch, missing, name):
    folder, _ = stack(tmp_path / "a")
    found = builtins.__import__

    def importing(wanted, *rest, **more):
        if wanted.partition(".")[0] in (missing, "torch"):
            raise ImportError(wanted)
        return found(wanted, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(MissingDependencyError) as error:
        getattr(refmaker, name)(folder)
    assert f"pip install {missing}" in error.value.hint


TENSOR = """
import sys
import numpy as np
try:
    import monai.data, monai.transforms
except ImportError:
    print("absent")
    sys.exit()
import refmaker
tensor = refmaker.to_monai(sys.argv[1], "study-1/series-1")
image = refmaker.to_nibabel(sys.argv[1], "study-1/series-1")
image.to_filename(sys.argv[2])
own = monai.transforms.LoadImage(image_only=True)(sys.argv[2])
assert np.array_equal(np.asarray(tensor), np.asarray(own)), "values"
assert np.allclose(np.asarray(tensor.affine), np.asarray(own.affine)), "affine"
first = monai.transforms.EnsureChannelFirst()(tensor)
turned = monai.transforms.Orientation(axcodes="LPS")(first)
assert tuple(turned.shape) == (1, 96, 96, 40)
print("same")
"""


def test_tensors_are_as_monai_loads_nifti(study, tmp_path):
    """In a process of its own: where MONAI is not installed it is told so, and refused by name."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TENSOR, study, str(tmp_path / "a.nii")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[-1] in ("same", "absent")


@given(
    st.lists(st.floats(-1, 1), min_size=9, max_size=9),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.booleans(),
)
def test_affines_of_both_libraries_are_one(tmp_path_factory, numbers, shape, flip):
    """Any rotation and spacing: nibabel's and SimpleITK's images lie at the same places."""
    rotation, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 2 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3] = rotation * [1.5, -2.0 if flip else 2.0, 3.0]
    affine[:3, 3] = [1, -2, 30]
    folder = tmp_path_factory.mktemp("any")
    values = np.arange(np.prod(shape), dtype="i2").reshape(shape)
    path = write(folder / "a.nii", values, 2, "<", affine=affine)
    image, other = refmaker.to_nibabel(path), refmaker.to_sitk(path)
    for at in corners(shape):
        place = (image.affine @ [*at, 1])[:3] * [-1, -1, 1]
        assert np.allclose(place, other.TransformIndexToPhysicalPoint(at), atol=1e-4)
        assert image.dataobj[tuple(at)] == other.GetPixel(at) == values[tuple(at)]


@pytest.mark.parametrize("kind", ["dicom", "sheared", "nifti", "nrrd"])
def test_a_part_of_a_volume_lies_where_it_lay(tmp_path, kind):
    values = np.random.default_rng(3).integers(-200, 200, (4, 5, 6)).astype("i2")
    if kind == "nifti":
        affine = np.eye(4)
        affine[:3] = [[-1.9, 0.2, 0.3, 10], [0.1, 2.9, -0.5, -5.5], [0.2, 0.4, 3.9, 7]]
        path = str(write(tmp_path / "a.nii", values, 1, "<", affine=affine))
    elif kind == "nrrd":
        header = {"space": "LPS", "space directions": np.eye(3) * 2.0, "kinds": ["domain"] * 3}
        path = str(tmp_path / "a.nrrd")
        nrrd.write(
            path,
            values,
            {**header, "space origin": [1.0, 2, 3], "encoding": "raw"},
            index_order="F",
        )
    else:
        shear = 0.4 if kind == "sheared" else 0.0
        path, _ = stack(tmp_path / "a", orientation=OBLIQUE, shear=shear, count=6)
    options = {"settings": {"ngff": "0.4"}, "inline_threshold": 0}
    whole = refmaker.scan(path, options=refmaker.ScanOptions(**options, chunk_bytes=1))
    name = next(name for name in ("image", "data") if name in whole.group.members)
    part = whole.isel(z=slice(2, 5))
    image, other = refmaker.to_nibabel(whole), refmaker.to_nibabel(part)
    assert np.allclose(other.affine @ [1, 2, 0, 1], image.affine @ [1, 2, 2, 1])
    assert np.array_equal(np.asarray(other.dataobj), np.asarray(image.dataobj)[..., 2:5])
    # What describes the whole does not describe a part.
    assert "multiscales" in whole.group.attributes
    assert "multiscales" not in part.group.attributes
    array = part.group[name].attributes
    assert not {"sform", "qform", "space_origin"} & array.keys()
    if "origin" in array:
        assert np.allclose(array["origin"], np.array(array["affine"])[:3, 3])
    with pytest.raises(UnsupportedError):
        refmaker.to_nibabel(whole.isel(z=2), name)
    assert "affine_ras" not in whole.isel(z=2).group[name].attributes
    renamed = whole.rename(z="s")
    assert "multiscales" not in renamed.group.attributes


def test_missing_slices_are_counted_from_the_first_of_a_part(tmp_path):
    folder, _ = stack(tmp_path / "a", count=7)
    for path in (tmp_path / "a").iterdir():
        if sitk.ReadImage(str(path)).GetMetaData("0020|0013").strip() == "4":
            path.unlink()
    whole = refmaker.scan(folder)
    assert whole.group["image"].attributes["missing_slices"] == [3]
    assert whole.isel(z=slice(2, 7)).group["image"].attributes["missing_slices"] == [1]
    assert "missing_slices" not in whole.isel(z=slice(4, 7)).group["image"].attributes


def test_joined_volumes_are_not_described_as_one_of_them(tmp_path):
    folder, _ = stack(tmp_path / "a")
    sets = [refmaker.scan(folder).expand_dims("run", at) for at in range(2)]
    assert all("multiscales" not in one.group.attributes for one in sets)
    joined = refmaker.combine(sets, concat="run")
    assert joined.group["image"].shape == (2, 4, 6, 5)
    assert "multiscales" not in joined.group.attributes
    assert refmaker.to_nibabel(joined).shape == (5, 6, 4, 2)


def test_written_sets_remember_all_of_it(study, tmp_path):
    refs = refmaker.scan(study)
    for name in ("a.json", "a.parquet"):
        refs.write(tmp_path / name)
        for path in ("study-1/series-1", "study-1/series-2"):
            one, other = (refmaker.to_nibabel(s, path) for s in (refs, tmp_path / name))
            assert np.array_equal(one.affine, other.affine)
            assert np.array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
