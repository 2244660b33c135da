"""NGFF of volumes: what validators and readers of its versions make of it, and where voxels lie."""

from __future__ import annotations

import contextlib
import importlib
import json

import nibabel
import nrrd
import numpy as np
import ome_zarr.io
import ome_zarr.reader
import pytest
from click.testing import CliRunner
from ome_zarr_models import v04, v05

import refmaker
from refmaker.cli import main
from refmaker.model.inline import inline_array
from refmaker.scanning.ngff import Axis, Level, image_metadata, multiscale, rank_problem
from refmaker.scanning.ngff_volumes import described_volumes
from refmaker.scanning.options import ScanOptions
from tests.scanners.dicom.image_files import AXIAL, SAGITTAL, save, save_all, slice_of, slide_level
from tests.scanners.mrc.files import write as write_mrc
from tests.scanners.nifti.files import write as write_nifti

OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
IMAGES = {"0.4": v04.Image, "0.5": v05.Image}
with contextlib.suppress(ImportError):
    # Of the newest releases, which need a newer Python than the oldest that there is here.
    IMAGES["0.6"] = importlib.import_module("ome_zarr_models.v06").Image


def scanned(path, version):
    return refmaker.scan(path, options=ScanOptions(settings={"ngff": version}))


def told(refs, path=""):
    """Return the metadata of a group, whatever their version."""
    group = refs.group[path] if path else refs.group
    return group.attributes.get("ome", group.attributes)


def validated(refs, version, tmp_path, path=""):
    """Read a written set by the models of a version, if they are installed."""
    refs.write(tmp_path / f"{version}.json")
    group = refmaker.open_group(tmp_path / f"{version}.json")
    group = group[path] if path else group
    if version in IMAGES:
        IMAGES[version].from_zarr(group)
    return group


def series(folder, orientation=AXIAL, step=2.5, shear=0.0, count=4, first=(-11.0, 7.5, 31.0)):
    folder.mkdir()
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    along = np.cross(row, column) * step + column * shear
    made = [
        slice_of(np.array(first) + along * k, k + 1, orientation=orientation) for k in range(count)
    ]
    save_all(folder, made)
    return str(folder)


def placed(found, index):
    """Return where a voxel lies by the transformations of 0.6, in the order of the axes."""
    (dataset,) = found["datasets"]
    (scale,) = dataset["coordinateTransformations"]
    assert scale["input"] == {"path": dataset["path"]}
    systems = {system["name"]: system["axes"] for system in found["coordinateSystems"]}
    (affine,) = found["coordinateTransformations"]
    assert affine["input"] == scale["output"] == {"name": "physical"}
    assert affine["output"] == {"name": "LPS"}
    assert len(systems["LPS"]) == len(systems["physical"]) == len(index)
    matrix = np.array(affine["affine"])
    return matrix[:, :-1] @ (np.array(index) * scale["scale"]) + matrix[:, -1]


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
def test_series_of_dicom(tmp_path, orientation, version):
    refs = scanned(series(tmp_path / "a", orientation), version)
    (found,) = told(refs)["multiscales"]
    validated(refs, version, tmp_path)
    first = np.array([-11.0, 7.5, 31.0])
    if version == "0.6":
        row, column = np.array(orientation[:3]), np.array(orientation[3:])
        for k, y, x in ((0, 0, 0), (3, 0, 0), (1, 5, 4)):
            true = first + np.cross(row, column) * 2.5 * k + column * 2.0 * y + row * 3.0 * x
            assert np.allclose(placed(found, (k, y, x)), true[::-1], atol=1e-6)
        return
    assert [axis["unit"] for axis in found["axes"]] == ["millimeter"] * 3
    scale, *shift = found["datasets"][0]["coordinateTransformations"]
    assert np.allclose(scale["scale"], [2.5, 2.0, 3.0])
    if orientation == AXIAL:
        assert shift == [{"type": "translation", "translation": first[::-1].tolist()}]
    else:
        # Directions are not those of the axes: a translation alone would mislead.
        assert not shift


def test_a_stack_towards_the_feet_is_turned_and_begins_where_it_does(tmp_path):
    refs = scanned(series(tmp_path / "a", step=-2.5), "0.4")
    scale, shift = told(refs)["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert shift["translation"][0] == pytest.approx(31.0 - 7.5)
    assert scale["scale"][0] == 2.5


def test_shear_is_in_the_affine_alone(tmp_path):
    folder = series(tmp_path / "a", shear=0.5)
    (found,) = told(scanned(folder, "0.6"))["multiscales"]
    assert np.allclose(placed(found, (2, 0, 0)), [31 + 5, 7.5 + 1, -11])
    assert len(told(scanned(folder, "0.4"))["multiscales"][0]["datasets"][0][
        "coordinateTransformations"]) == 1  # fmt: skip


def test_uneven_slices_are_not_described(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    save_all(folder, [slice_of((0, 0, z), k + 1) for k, z in enumerate((0, 2, 5, 11))])
    refs = scanned(str(folder), "0.4")
    assert "multiscales" not in refs.group.attributes
    assert not [text for text in refs.report.warnings if "NGFF" in text]
    refs = scanned(str(folder), "0.5")
    assert "ome" not in refs.group.attributes
    assert [text for text in refs.report.warnings if "NGFF: image: its slices are not" in text]


def test_one_slice_has_no_distance(tmp_path):
    refs = scanned(series(tmp_path / "a", count=1), "0.4")
    (found,) = told(refs)["multiscales"]
    assert found["axes"][0] == {"name": "z", "type": "space"}
    assert found["axes"][1]["unit"] == "millimeter"
    assert found["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 2.0, 3.0]
    validated(refs, "0.4", tmp_path)


def test_none_is_written_where_none_is_wanted(tmp_path):
    folder = series(tmp_path / "a")
    assert set(scanned(folder, "no").group.attributes) == {"format", "modality"}
    slide = save(slide_level(np.zeros((32, 32, 3), "u1"), (16, 16)), tmp_path / "s")
    assert "multiscales" not in scanned(slide, "no").group.attributes


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_windows_are_those_of_stored_values(tmp_path, version):
    folder = tmp_path / "a"
    folder.mkdir()
    made = [
        slice_of((0, 0, k), k + 1, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=40,
                 WindowWidth=400)
        for k in range(3)
    ]  # fmt: skip
    save_all(folder, made)
    (channel,) = told(scanned(str(folder), version))["omero"]["channels"]
    assert channel["window"] == {"min": 0, "max": 65535, "start": 432.0, "end": 632.0}


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_repeats_are_an_axis_before_space(tmp_path, version):
    for name, values, kind in (
        ("EchoTime", (2.5, 5.0, 7.5), "echo_time"),
        ("TriggerTime", (0, 40, 80), "time"),
        ("TemporalPositionIdentifier", (1, 2, 3), "time"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        made = [
            slice_of((0, 0, 2 * k), 10 * v + k, **{name: value})
            for v, value in enumerate(values)
            for k in range(4)
        ]
        save_all(folder, made)
        refs = scanned(str(folder), version)
        (found,) = told(refs)["multiscales"]
        axes = found["axes"] if version != "0.6" else found["coordinateSystems"][0]["axes"]
        assert axes[0]["type"] == kind
        assert ("unit" in axes[0]) is (name == "TriggerTime")
        steps = found["datasets"][0]["coordinateTransformations"][0]["scale"]
        assert steps[0] == {"TriggerTime": 40.0}.get(name, 1.0)
        validated(refs, version, tmp_path)
        if version == "0.6":
            assert placed(found, (2, 1, 0, 0))[:2].tolist() == [2 * steps[0], 2.0]


def test_two_axes_besides_space_are_too_many(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    made = [
        slice_of((0, 0, 2 * k), 100 * e + 10 * f + k, EchoTime=2.5 * (e + 1), FlipAngle=f + 1)
        for e in range(2)
        for f in range(3)
        for k in range(4)
    ]
    save_all(folder, made)
    refs = scanned(str(folder), "0.5")
    assert refs.group["image"].shape[:2] == (2, 3)
    assert "ome" not in refs.group.attributes
    assert any("room for one axis" in text for text in refs.report.warnings)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_nifti(tmp_path, version):
    rotation = np.eye(4)
    rotation[:3] = [[0, -2, 0, 5], [3, 0, 0, -6], [0, 0, 4, 7]]
    values = np.zeros((4, 5, 6, 3), "i2")
    path = str(write_nifti(tmp_path / "a.nii", values, 1, "<", affine=rotation,
                           pixdim=[1, 3, 2, 4, 1.5, 1, 1, 1]))  # fmt: skip
    refs = scanned(path, version)
    (found,) = told(refs)["multiscales"]
    group = validated(refs, version, tmp_path)
    assert group["data"].shape == (3, 6, 5, 4)
    steps = found["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert np.allclose(steps, [1.5, 4, 2, 3])
    if version == "0.6":
        true = rotation @ [3, 4, 5, 1] * [-1, -1, 1, 1]
        assert np.allclose(placed(found, (2, 5, 4, 3)), [3.0, *true[2::-1]])
    else:
        assert found["axes"][0] == {"name": "t", "type": "time", "unit": "second"}
    assert "multiscales" not in refmaker.scan(path).group.attributes


def test_nifti_without_a_unit_has_none(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), "i2"), np.eye(4)), tmp_path / "a.nii")
    (found,) = told(scanned(str(tmp_path / "a.nii"), "0.4"))["multiscales"]
    assert found["axes"][0] == {"name": "z", "type": "space"}


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_nrrd(tmp_path, version):
    header = {"space": "RAS", "space directions": np.diag([-1.5, -2.0, 3.0]),
              "space origin": [10.0, 20.0, 30.0], "kinds": ["domain"] * 3}  # fmt: skip
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((4, 5, 6), "i2"), header, index_order="F")
    refs = scanned(str(tmp_path / "a.nrrd"), version)
    (found,) = told(refs)["multiscales"]
    validated(refs, version, tmp_path)
    if version == "0.6":
        assert placed(found, (1, 1, 1)).tolist() == [33.0, -18.0, -8.5]
    else:
        scale, shift = found["datasets"][0]["coordinateTransformations"]
        assert scale["scale"] == [3.0, 2.0, 1.5]
        assert shift["translation"] == [30.0, -20.0, -10.0]


def test_lists_of_nrrd_behind_space_are_refused(tmp_path):
    header = {"space": "LPS", "space directions": np.vstack([np.full(3, np.nan), np.eye(3)]),
              "space origin": [0.0, 0, 0], "kinds": ["list", *["domain"] * 3]}  # fmt: skip
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((7, 4, 5, 6), "i2"), header, index_order="F")
    refs = scanned(str(tmp_path / "a.nrrd"), "0.5")
    assert "ome" not in refs.group.attributes
    assert any("the order time, channel or another, space" in w for w in refs.report.warnings)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_mrc(tmp_path, version):
    path = write_mrc(tmp_path / "a.mrc", np.zeros((3, 4, 5), "f4"), volume=True)
    refs = scanned(str(path), version)
    (found,) = told(refs)["multiscales"]
    validated(refs, version, tmp_path)
    assert np.allclose(
        found["datasets"][0]["coordinateTransformations"][0]["scale"], [3.5, 2.5, 1.5]
    )
    axes = found["axes"] if version != "0.6" else found["coordinateSystems"][0]["axes"]
    assert [axis["unit"] for axis in axes] == ["angstrom"] * 3
    assert "coordinateTransformations" not in found


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_reference_reader_opens_volumes(tmp_path, version):
    refs = scanned(series(tmp_path / "a"), version)
    store = tmp_path / f"{version}.zarr"
    refmaker.materialize(refs, store)
    location = ome_zarr.io.parse_url(store)
    (node,) = [node for node in ome_zarr.reader.Reader(location)() if node.data]
    assert node.data[0].shape == (4, 6, 5)
    assert np.array_equal(node.data[0].compute(), refmaker.open_group(refs)["image"][...])


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_later_versions_are_zarr_3(tmp_path, version):
    folder = series(tmp_path / "a")
    ran = CliRunner().invoke(
        main, ["scan", folder, "-o", str(tmp_path / "a.json"), "--ngff", version]
    )
    assert ran.exit_code == 0, ran.output
    text = (tmp_path / "a.json").read_text()
    assert "zarr.json" in json.loads(text)["refs"]
    refused = CliRunner().invoke(
        main, ["scan", folder, "-o", str(tmp_path / "a.parquet"), "--ngff", version]
    )
    assert refused.exit_code == 1
    assert f"NGFF {version} is of version 3" in refused.output
    assert "--ngff 0.4" in refused.output


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        (["time", "channel", "space", "space", "space"], ""),
        (["space", "space"], ""),
        (["echo", "space", "space", "space"], ""),
        (["channel", "time", "space", "space", "space"], "the order"),
        (["time", "time", "space", "space"], "one axis of time"),
        (["echo", "channel", "space", "space"], "not for a0, a1"),
        (["channel", "space"], "2 or 3 axes"),
        (["space", "space", "channel"], "the order"),
    ],
)
def test_axes_that_ngff_has(kinds, why):
    found = rank_problem([Axis(f"a{at}", kind) for at, kind in enumerate(kinds)])
    assert (why in found) if why else found == ""


def test_images_beyond_the_first_are_described_too(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    made = [slice_of((0, 0, 2 * k), k + 1) for k in range(4)]
    made += [slice_of((3 * k, 0, 0), 20 + k, orientation=SAGITTAL) for k in range(3)]
    save_all(folder, made)
    refs = scanned(str(folder), "0.5")
    assert [one["name"] for one in told(refs)["multiscales"]] == ["image", "image_1"]
    assert [axis["name"] for axis in told(refs)["multiscales"][1]["axes"]] == ["z_1", "y_1", "x_1"]
    validated(refs, "0.5", tmp_path)


def test_labels_are_versioned_as_images_are():
    one = multiscale("a", [Axis("y", "space"), Axis("x", "space")], [Level("0", (1.0, 1.0))], "0.4")
    found = image_metadata("0.4", multiscales=[one], image_label={"colors": []}, omero={})
    assert found["image-label"] == {"colors": [], "version": "0.4"}
    assert "omero" not in found
    assert image_metadata("0.5", labels=["a"]) == {"ome": {"version": "0.5", "labels": ["a"]}}


def test_coordinates_that_are_not_even_give_no_distance():
    image = inline_array(np.zeros((3, 2, 2, 2), "u1"), ("time", "z", "y", "x"))
    for values, step in (([0, 2, 4], 2.0), ([0, 2, 5], 1.0), ([4, 2, 0], 1.0)):
        time = inline_array(np.array(values, "f8"), ("time",), {"units": "s"})
        found, _ = described_volumes({"image": image, "time": time}, "0.4")
        (one,) = found["multiscales"]
        assert one["datasets"][0]["coordinateTransformations"][0]["scale"][0] == step
        assert ("unit" in one["axes"][0]) is (step == 2.0)
