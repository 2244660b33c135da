"""Segmentations beside the image that they label: the same values on its slices, or nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import xarray as xr
from ome_zarr_models import v04, v05
from phantom import anatomy, write_study
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import refmaker
from refmaker.errors import MetadataError
from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanning.options import ScanOptions
from tests.scanners.dicom.image_files import group

SERIES = "study-1/series-1"
ORGANS, LESION = f"{SERIES}/labels/series-4/image", f"{SERIES}/labels/series-3-segment-1/image"


def scanned(folder, **settings):
    found = {name.replace("_", "-"): value for name, value in settings.items()}
    return refmaker.scan(str(folder), options=ScanOptions(settings=found))


def labels(refs):
    return sorted(path for path, _ in refs.group.arrays() if "/labels/" in path)


def changed(folder, name, change):
    """Change all files of one folder of the study."""
    for path in sorted((folder / name).iterdir()):
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "study")


def test_labels_lie_on_the_slices_of_their_image(study):
    refs = scanned(study)
    assert labels(refs) == [LESION, ORGANS]
    opened = refmaker.open_group(refs)
    _, organs, lesion = anatomy.torso()
    assert np.array_equal(opened[ORGANS][...], organs)
    assert np.array_equal(opened[LESION][...], lesion)
    # A binary segmentation has frames for some slices only.
    assert refs.group[LESION].chunks.absent == len(lesion) - lesion.any(axis=(1, 2)).sum()
    for path in (ORGANS, LESION):
        for name in ("affine", "affine_ras", "spacing", "origin", "direction"):
            assert (
                refs.group[path].attributes[name] == refs.group[f"{SERIES}/image"].attributes[name]
            )


def test_every_label_is_what_pydicom_reads(study):
    refs = scanned(study)
    checked = {check.path.strip("/"): check for check in refmaker.verify(refs)}
    assert all(check.ok for check in checked.values())
    assert {ORGANS, LESION} <= checked.keys()
    rows = {row.path.strip("/"): row.outcome.name for row in refs.report.rows}
    assert rows[ORGANS] == rows[LESION] == "REFERENCED"


def test_labels_on_wrong_slices_are_found_out(study):
    """`verify` places the frames of labels by their own positions."""
    array = scanned(study).group[LESION]
    urls = sorted(map(str, study.rglob("*.dcm")))
    whole = (slice(None),) * 3
    with DICOMScanner().native_collection(urls, None) as reader:
        assert np.array_equal(reader.read(LESION, array, whole), anatomy.torso()[2])
        first = array.attributes["origin"]
        shifted = {**array.attributes, "origin": [*first[:2], first[2] + anatomy.STEP]}
        other = reader.read(LESION, replace(array, attributes=shifted), whole)
        assert np.array_equal(other, np.roll(anatomy.torso()[2], -1, axis=0))


@pytest.mark.parametrize(("version", "models"), [("0.4", v04), ("0.5", v05), ("0.6", None)])
def test_validators_accept_image_and_labels(study, tmp_path, version, models):
    refs = scanned(study, ngff=version)
    refs.write(tmp_path / "a.json")
    opened = refmaker.open_group(tmp_path / "a.json")
    told = opened[f"{SERIES}/labels"].attrs
    assert told.get("ome", told)["labels"] == ["series-3-segment-1", "series-4"]
    told = opened[f"{SERIES}/labels/series-4"].attrs
    told = told.get("ome", told)["image-label"]
    assert told["source"] == {"image": "../../"}
    assert [one["label-value"] for one in told["colors"]] == [1, 2, 3]
    for one in told["colors"]:
        right = anatomy.COLOURS[one["label-value"]]
        assert np.abs(np.subtract(one["rgba"], [*right, 255])).max() <= 1
    assert [(one["name"], one["type"]) for one in told["properties"]] == [
        (name, f"SCT:{anatomy.CODES[number]}") for number, name in anatomy.ORGANS.items()
    ]
    if models is not None:
        models.Image.from_zarr(opened[SERIES])
        models.Labels.from_zarr(opened[f"{SERIES}/labels"])
        for name in ("series-3-segment-1", "series-4"):
            models.ImageLabel.from_zarr(opened[f"{SERIES}/labels/{name}"])


def test_the_whole_study_is_one_tree(study):
    tree = xr.open_datatree(str(study), engine="refmaker")
    assert tree["study-1/series-1"].image.shape == (40, 96, 96)
    assert float(tree["study-1/series-1"].image[:, 40, 40].max()) > 50
    # Labels stand on the coordinates of their image.
    part = tree[f"{SERIES}/labels/series-4"].to_dataset()
    assert part.image.sel(z=slice(60, 120)).shape == (13, 96, 96)
    liver = tree[SERIES].image.where(part.image == 2).mean()
    assert abs(float(liver) - 105) < 6


def move(mm):
    def change(data):
        for item in data.PerFrameFunctionalGroupsSequence:
            place = item.PlanePositionSequence[0].ImagePositionPatient
            item.PlanePositionSequence[0].ImagePositionPatient = [
                place[0] + mm[0], place[1] + mm[1], place[2] + mm[2],
            ]  # fmt: skip

    return change


def measured(spacing):
    def change(data):
        shared = data.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence[0].PixelSpacing = spacing

    return change


def other_frame(data):
    data.FrameOfReferenceUID = "1.2.3.4.5"


def other_series(data):
    data.ReferencedSeriesSequence = group(SeriesInstanceUID="1.2.3.4.5")


def fractional(data):
    data.SegmentationType = "FRACTIONAL"


@pytest.mark.parametrize(
    "change",
    [
        *(move(mm) for mm in [(0.5, 0, 0), (0, 0, 2.5), (0, 0, 1000.0), (0, -1.0, 0)]),
        *(measured(spacing) for spacing in ([3.7, 3.75], [3.75, 4.0])),
        *(other_frame, other_series, fractional),
    ],
)
def test_what_does_not_fit_stays_by_itself(study, change):
    changed(study, "lesion", change)
    refs = scanned(study)
    assert labels(refs) == [ORGANS]
    assert refs.group["study-1/series-3/image"].shape[-3:] == (4, 96, 96)


@pytest.mark.parametrize("steps", [3, -6])
def test_labels_follow_their_positions(study, steps):
    changed(study, "lesion", move((0, 0, steps * anatomy.STEP)))
    refs = scanned(study)
    lesion = anatomy.torso()[2]
    assert np.array_equal(refmaker.open_group(refs)[LESION][...], np.roll(lesion, steps, axis=0))


def test_without_a_reference_the_only_fitting_series_is_labelled(study, tmp_path):
    def forget(data):
        del data.ReferencedSeriesSequence

    changed(study, "lesion", forget)
    assert labels(scanned(study)) == [LESION, ORGANS]
    # A second series on the same slices: nobody can tell which of them is meant.
    (study / "again").mkdir()
    for path in sorted((study / "ct").iterdir()):
        data = pydicom.dcmread(path)
        data.SeriesInstanceUID = data.SeriesInstanceUID[:-2] + "1"
        data.SOPInstanceUID = data.SOPInstanceUID[:-2] + "1"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(study / "again" / path.name)
    found = labels(scanned(study))
    assert len(found) == 1
    assert "segment" not in found[0]


def test_segments_are_label_images_each(study):
    def split(data):
        frames = list(data.PerFrameFunctionalGroupsSequence)
        frames[-1].SegmentIdentificationSequence = group(ReferencedSegmentNumber=2)
        second = Dataset()
        second.update(data.SegmentSequence[0])
        second.SegmentNumber, second.SegmentLabel = 2, "Edge"
        data.SegmentSequence = Sequence([data.SegmentSequence[0], second])

    changed(study, "lesion", split)
    refs = scanned(study)
    lesion = anatomy.torso()[2]
    last = np.flatnonzero(lesion.any(axis=(1, 2)))[-1]
    opened = refmaker.open_group(refs)
    one, two = (opened[f"{SERIES}/labels/series-3-segment-{k}/image"][...] for k in (1, 2))
    assert np.array_equal(one + two, lesion)
    assert np.flatnonzero(two.any(axis=(1, 2))).tolist() == [last]
    told = refs.group[f"{SERIES}/labels/series-3-segment-2"].attributes["image-label"]
    assert told["properties"][0]["name"] == "Edge"
    assert all(check.ok for check in refmaker.verify(refs))


def test_none_without_ngff_or_on_uneven_slices(study):
    assert labels(scanned(study, ngff="no")) == []
    min((study / "ct").iterdir()).unlink()

    def uneven(data):
        if data.InstanceNumber == 7:
            data.ImagePositionPatient = [*data.ImagePositionPatient[:2], -289.0]

    changed(study, "ct", uneven)
    assert labels(scanned(study)) == []


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("number", ["series-1", "series-2", "series-3", "series-4"]),
        ("modality", ["CT-2", "MR-5", "SEG-302", "SEG-301"]),
        (
            "description",
            ["Torso-5.0-B30", "DWI-4-directions", "Drawn-by-hand", "Model-7-all-classes"],
        ),
    ],
)
def test_names_of_series(study, how, names):
    refs = scanned(study, series_names=how)
    assert list(refs.group["study-1"].members) == names
    assert f"study-1/{names[0]}/labels/{names[3]}/image" in labels(refs)
    identifying = [text for text in refs.report.warnings if "identif" in text]
    assert bool(identifying) is (how == "description")
    assert bool(refs.group.attributes.get("contains_phi")) is (how == "description")
    tree = xr.open_datatree(str(study), engine="refmaker", scan={"settings": {"series-names": how}})
    assert list(tree["study-1"]) == names


def test_names_of_series_never_clash_nor_lead_elsewhere(study):
    def same(data):
        data.SeriesDescription = "../a/b\\c: T1 \u00e9 "
        data.SeriesNumber, data.Modality = 3, "MR"

    for name in ("ct", "dwi"):
        changed(study, name, same)
    described = list(scanned(study, series_names="description").group["study-1"].members)
    assert described[:2] == ["a-b-c-T1-\u00e9", "a-b-c-T1-\u00e9-2"]
    assert list(scanned(study, series_names="modality").group["study-1"].members)[:2] == [
        "MR-3",
        "MR-3-2",
    ]

    def nothing(data):
        data.SeriesDescription, data.SeriesNumber = "///", None

    changed(study, "ct", nothing)
    for how in ("description", "modality"):
        assert "series-1" in scanned(study, series_names=how).group["study-1"].members


def test_names_after_descriptions_can_be_forbidden(study):
    with pytest.raises(MetadataError, match="description"):
        scanned(study, series_names="description", fail_on_phi="yes")


@pytest.mark.parametrize("how", ["number", "modality"])
def test_no_identifier_is_in_names_and_labels(study, tmp_path, how):
    scanned(study, series_names=how, fail_on_phi="yes").write(tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    for word in ("Phantom", "Petra", "PHANTOM-0019", "Torso", "Drawn", "Model 7", "1.2.826"):
        assert word not in text
