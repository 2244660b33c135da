"""Series as volumes: pixels in their cells, geometry as it is, oddities told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from refmaker.model.report import Outcome
from refmaker.scanners.dicom import DICOMScanner, geometry
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.dicom.image_files import (
    AXIAL,
    CT,
    PET,
    REPORT,
    RT_DOSE,
    SAGITTAL,
    SEG,
    enhanced,
    instance,
    numbers,
    pixels,
    save,
    save_all,
    slice_of,
    with_pixels,
)


def collect(paths, **chosen):
    return DICOMScanner().collect(paths, None, ScanOptions(settings=chosen))


def opened(group):
    return open_stock(group)


def affine_of(group, name="image"):
    return np.array(group[name].attributes["affine"])


def itk(paths):
    """Return array and affine (index order z, y, x; LPS) as SimpleITK reads files in order."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(paths)
    image = reader.Execute()
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = axes[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_ordinary_series_are_as_simpleitk_reads_them(tmp_path, orientation, step):
    across = geometry.normal(np.array(orientation))
    first = np.array([-11.5, 20.25, 3.125])
    paths = [
        save(
            slice_of(first + k * step * across, k + 1, orientation=orientation, series="s"),
            tmp_path / f"{k:02d}",
        )
        for k in range(7)
    ]
    group, report = collect(paths[::-1])
    true, affine = itk(paths if step > 0 else paths[::-1])
    assert np.array_equal(opened(group)["image"][...], true)
    assert np.abs(affine_of(group) - affine).max() < 1e-4
    ras = np.array(group["image"].attributes["affine_ras"])
    assert np.allclose(ras, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-4)
    assert np.allclose(opened(group)["z"][...], np.arange(7) * 2.5)
    assert np.allclose(opened(group)["y"][...], np.arange(6) * 2.0)
    assert np.allclose(opened(group)["x"][...], np.arange(5) * 3.0)
    assert {row.outcome for row in report.rows} == {
        Outcome.GROUP,
        Outcome.REFERENCED,
        Outcome.INLINED,
    }


def repeated(folder, attribute, values, places=4, step=3.6, **elements):
    """Write a series with a frame for each place and each value."""
    made, number = [], 0
    for value in values:
        for place in range(places):
            number += 1
            extra = {attribute: value} if attribute else {}
            made.append(slice_of((0, 0, place * step), number, **extra, **elements))
    return save_all(folder, made)


@pytest.mark.parametrize(
    ("attribute", "values", "name", "coordinate"),
    [
        ("TemporalPositionIdentifier", [1, 2], "temporal_position", [1, 2]),
        ("EchoTime", ["2.5", "4.9", "7.3"], "echo_time", [2.5, 4.9, 7.3]),
        ("TriggerTime", ["0", "50", "100"], "trigger_time", [0, 50, 100]),
        ("FrameReferenceTime", ["100", "900"], "frame_reference_time", [100, 900]),
        ("AcquisitionNumber", [4, 7], "acquisition_number", [4, 7]),
        (
            "ImageType",
            [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]],
            "image_type",
            ["ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"],
        ),
    ],
)
def test_what_separates_repeats_is_a_dimension(tmp_path, attribute, values, name, coordinate):
    paths = repeated(tmp_path, attribute, values)
    group, _ = collect(paths)
    array = group["image"]
    assert array.dimension_names == (name, "z", "y", "x")
    assert array.shape[:2] == (len(values), 4)
    assert list(opened(group)[name][...]) == coordinate
    assert np.array(array.attributes["spacing"])[0] == pytest.approx(3.6)
    read = opened(group)["image"][...]
    for t in range(len(values)):
        for z in range(4):
            assert np.array_equal(read[t, z], pixels(1 + t * 4 + z))


def test_time_of_acquisition_orders_frames_of_each_place(tmp_path):
    made, number = [], 0
    for repeat in range(3):
        for place in (2, 0, 1):
            number += 1
            when = f"1200{number:02d}.5"
            made.append(slice_of((0, 0, place * 2.0), number, AcquisitionTime=when))
            made[-1].pixels = repeat, place
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names == ("time", "z", "y", "x")
    read = opened(group)["image"][...]
    for number, data in enumerate(made, 1):
        assert np.array_equal(read[data.pixels], pixels(number))
    times = opened(group)["acquisition_time"][...]
    assert times.min() == 0
    assert times.max() == 8


def test_two_attributes_are_two_dimensions(tmp_path):
    made, number = [], 0
    for echo in ("3.0", "6.0"):
        for part in ("M", "P"):
            for place in range(3):
                number += 1
                kind = ["ORIGINAL", "PRIMARY", part]
                made.append(slice_of((0, 0, place), number, EchoTime=echo, ImageType=kind))
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names == ("echo_time", "image_type", "z", "y", "x")
    read = opened(group)["image"][...]
    assert np.array_equal(read[1, 0, 2], pixels(9))


def test_diffusion_directions_are_a_dimension(tmp_path):
    directions = [(0.0, None), (1000.0, (1, 0, 0)), (1000.0, (0, 1, 0)), (1000.0, (0, 0, 1))]
    made, number = [], 0
    for value, direction in directions:
        for place in range(2):
            number += 1
            data = slice_of((0, 0, place * 2.0), number, DiffusionBValue=value)
            if direction is not None:
                data.DiffusionGradientOrientation = [float(part) for part in direction]
            made.append(data)
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].shape[:2] == (4, 2)
    assert group["image"].dimension_names[0] == "diffusion"
    assert sorted(opened(group)["b_value"][...]) == [0, 1000, 1000, 1000]
    vectors = opened(group)["b_vector"][...]
    assert np.isnan(vectors[0]).all()
    assert np.array_equal(np.abs(vectors[1:]).sum(axis=0), [1, 1, 1])
    assert group["image"].attributes["spacing"][0] == pytest.approx(2.0)


def test_repeats_without_any_attribute_are_told_of(tmp_path):
    group, report = collect(repeated(tmp_path, None, [0, 1, 2]))
    assert group["image"].dimension_names == ("repeat", "z", "y", "x")
    assert opened(group)["instance_number"][...].tolist() == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
    ]
    assert any("instance numbers alone" in warning for warning in report.warnings)


def test_repeats_that_fill_no_grid_stay_in_a_row(tmp_path):
    made = [slice_of((0, 0, place), k + 1) for k, place in enumerate([0, 0, 1, 2])]
    group, report = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names == ("frame", "y", "x")
    assert opened(group)["position"][...][:, 2].tolist() == [0, 0, 1, 2]
    assert any("no attribute tells them apart" in warning for warning in report.warnings)


def test_a_missing_slice_is_an_absent_chunk(tmp_path):
    made = [slice_of((0, 0, place * 5.0), k + 1) for k, place in enumerate([0, 2, 3, 4, 5])]
    group, report = collect(save_all(tmp_path, made))
    array = group["image"]
    assert array.shape[0] == 6
    assert array.chunks.absent == 1
    assert array.attributes["missing_slices"] == [1]
    assert array.attributes["spacing"][0] == pytest.approx(5.0)
    read = opened(group)["image"][...]
    assert np.array_equal(read[2], pixels(2))
    assert opened(group)["z"][...].tolist() == [0, 5, 10, 15, 20, 25]
    assert any("1 of 6 positions" in warning for warning in report.warnings)
    assert array.attributes["oddities"] == ["1 of 6 positions have no frame"]


def test_uneven_spacing_has_no_affine(tmp_path):
    places = [0.0, 1.0, 2.5, 4.5, 7.0]
    made = [slice_of((0, 0, place), k + 1) for k, place in enumerate(places)]
    group, report = collect(save_all(tmp_path, made))
    attributes = group["image"].attributes
    assert attributes["affine"] is None
    assert attributes["affine_ras"] is None
    assert attributes["spacing"][0] is None
    assert attributes["z_uniform"] is False
    assert opened(group)["z"][...].tolist() == places
    assert any("not evenly spaced" in warning for warning in report.warnings)


def test_two_different_distances_are_no_gap(tmp_path):
    made = [slice_of((0, 0, place), k + 1) for k, place in enumerate([0.0, 5.0, 15.0])]
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].shape[0] == 3
    assert group["image"].attributes["affine"] is None


def test_tilt_is_kept_as_shear(tmp_path):
    lean = np.radians(14)
    orientation = (1.0, 0.0, 0.0, 0.0, np.cos(lean), -np.sin(lean))
    positions = [(-10.0, -20.0, 5.0 * k) for k in range(5)]
    made = [
        slice_of(position, k + 1, orientation=orientation, series="tilt")
        for k, position in enumerate(positions)
    ]
    group, _ = collect(save_all(tmp_path, made))
    attributes = group["image"].attributes
    assert attributes["is_sheared"] is True
    assert attributes["gantry_tilt_deg"] == pytest.approx(14, abs=1e-3)
    for k, position in enumerate(positions):
        assert np.allclose((affine_of(group) @ [k, 0, 0, 1])[:3], position, atol=1e-3)


def test_other_orientations_are_images_of_their_own(tmp_path):
    made = [slice_of((0, 0, k * 2.0), k + 1) for k in range(4)]
    made += [slice_of((k * 3.0, 0, 0), 5 + k, orientation=SAGITTAL) for k in range(2)]
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].shape == (4, 6, 5)
    assert group["image_1"].shape == (2, 6, 5)
    assert group["image_1"].dimension_names == ("z_1", "y_1", "x_1")
    # Their normal points to the right of the patient: the last one comes first.
    assert opened(group)["position_1"][...][:, 0].tolist() == [3, 0]
    assert np.array_equal(opened(group)["image_1"][0], pixels(6))


def test_one_position_is_one_place(tmp_path):
    # Positions that differ by what rounding does are no steps.
    made = [slice_of((0, 0, 1e-15 * k), k + 1, EchoTime=str(k + 1)) for k in range(4)]
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names == ("echo_time", "z", "y", "x")
    assert group["image"].shape[:2] == (4, 1)
    assert group["image"].attributes["affine"] is None


def test_images_without_positions_invent_none(tmp_path):
    paths = save_all(tmp_path, [slice_of(None, k + 1) for k in range(3)])
    group, _ = collect(paths)
    assert group["image"].dimension_names == ("frame", "y", "x")
    assert group["image"].attributes["affine"] is None
    assert "position" not in group.members
    assert "z" not in group.members


def test_orientation_that_is_none_is_no_geometry(tmp_path):
    made = [slice_of((0, 0, k), k + 1, orientation=(0,) * 6) for k in range(3)]
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names[0] == "frame"
    assert group["image"].attributes["affine"] is None


def test_rescaling_is_an_attribute_or_an_array(tmp_path):
    same = {"RescaleSlope": "2", "RescaleIntercept": "-1024", "RescaleType": "HU"}
    made = [slice_of((0, 0, k), k + 1, series="ct", **same) for k in range(3)]
    for data in made:
        data.SOPClassUID = CT
    group, _ = collect(save_all(tmp_path, made))
    attributes = group["image"].attributes
    assert (attributes["scale_factor"], attributes["add_offset"]) == (2, -1024)
    assert attributes["units"] == "HU"


def test_rescaling_of_every_slice_is_kept(tmp_path):
    made = [
        slice_of((0, 0, k), k + 1, RescaleSlope=str(k + 0.5), RescaleIntercept="0", Units="BQML")
        for k in range(3)
    ]
    for data in made:
        data.SOPClassUID = PET
    group, _ = collect(save_all(tmp_path, made))
    assert "scale_factor" not in group["image"].attributes
    assert group["rescale_slope"].dimension_names == ("z",)
    assert opened(group)["rescale_slope"][...].tolist() == [0.5, 1.5, 2.5]
    assert group["image"].attributes["rescaled_units"] == "Bq/ml"


def plane(z, **more):
    return {"PlanePositionSequence": {"ImagePositionPatient": numbers((1, 2, z))}, **more}


SHARED = {
    "PlaneOrientationSequence": {"ImageOrientationPatient": numbers(AXIAL)},
    "PixelMeasuresSequence": {"PixelSpacing": numbers((2, 3))},
}


def test_enhanced_frames_go_where_their_groups_say(tmp_path):
    order = [(t, z) for z in (2, 0, 1) for t in (1, 0)]
    frames = [
        plane(z * 4.0, FrameContentSequence={"TemporalPositionIndex": t + 1}) for t, z in order
    ]
    path = save(enhanced(frames, SHARED), tmp_path / "enhanced")
    group, _ = collect([path])
    assert group["image"].dimension_names == ("temporal_position", "z", "y", "x")
    read = opened(group)["image"][...]
    for k, (t, z) in enumerate(order):
        assert np.array_equal(read[t, z], pixels(k))
    assert np.allclose(affine_of(group)[:3, 0], [0, 0, 4])


def test_enhanced_frames_in_order_of_two_dimensions(tmp_path):
    frames = [
        plane(float(z), FrameContentSequence={"TemporalPositionIndex": t + 1})
        for t in range(2)
        for z in range(3)
    ]
    group, _ = collect([save(enhanced(frames, SHARED), tmp_path / "enhanced")])
    read = opened(group)["image"][...]
    assert read.shape == (2, 3, 6, 5)
    assert all(np.array_equal(read[divmod(k, 3)], pixels(k)) for k in range(6))


def test_enhanced_frames_may_have_their_own_rescaling(tmp_path):
    frames = [
        plane(
            z,
            PixelValueTransformationSequence={"RescaleSlope": str(z + 1), "RescaleIntercept": "0"},
        )
        for z in range(3)
    ]
    group, _ = collect([save(enhanced(frames, SHARED), tmp_path / "enhanced")])
    assert opened(group)["rescale_slope"][...].tolist() == [1, 2, 3]


def test_frames_may_differ_in_orientation(tmp_path):
    frames = [
        {
            "PlanePositionSequence": {"ImagePositionPatient": numbers((0, 0, k))},
            "PlaneOrientationSequence": {"ImageOrientationPatient": numbers(orientation)},
        }
        for k, orientation in enumerate([AXIAL, SAGITTAL, AXIAL, AXIAL, AXIAL])
    ]
    shared = {"PixelMeasuresSequence": SHARED["PixelMeasuresSequence"]}
    group, _ = collect([save(enhanced(frames, shared), tmp_path / "enhanced")])
    assert group["image"].shape[0] == 5  # places 0 to 4, of which 1 has no frame
    assert group["image"].attributes["missing_slices"] == [1]
    assert np.array_equal(opened(group)["image_1"][0], pixels(1))


def test_functional_groups_of_another_number_place_no_frame(tmp_path):
    data = enhanced([plane(z) for z in (2, 1, 0)], SHARED)
    del data.PerFrameFunctionalGroupsSequence[2]
    group, report = collect([save(data, tmp_path / "enhanced")])
    assert group["image"].dimension_names == ("frame", "y", "x")
    assert "position" not in group.members
    read = opened(group)["image"][...]
    assert all(np.array_equal(read[k], pixels(k)) for k in range(3))
    assert any("groups of the frames are damaged" in warning for warning in report.warnings)


def test_concatenations_are_one_image(tmp_path):
    parts = []
    for part in range(3):
        frames = [plane(float(2 * part + k)) for k in range(2)]
        data = enhanced(frames, SHARED, number=part + 1)
        data.ConcatenationUID = "1.2.3.4.5.6"
        data.InConcatenationNumber = part + 1
        data.ConcatenationFrameOffsetNumber = 2 * part
        with_pixels(data, np.stack([pixels(10 * part + k) for k in range(2)]))
        parts.append(save(data, tmp_path / f"part{2 - part}"))
    group, _ = collect(parts)
    read = opened(group)["image"][...]
    assert read.shape[0] == 6
    for z in range(6):
        assert np.array_equal(read[z], pixels(10 * (z // 2) + z % 2))


def test_dose_planes_have_places_and_units(tmp_path):
    data = instance(RT_DOSE, Modality="RTDOSE")
    data.ImagePositionPatient = numbers((1, 2, 10))
    data.ImageOrientationPatient = numbers(AXIAL)
    data.PixelSpacing = numbers((2, 2))
    data.GridFrameOffsetVector = numbers((0, 3, 6))
    data.DoseGridScaling = "0.001"
    data.DoseUnits = "GY"
    with_pixels(data, np.stack([pixels(k, np.uint32) for k in range(3)]), 32)
    group, _ = collect([save(data, tmp_path / "dose")])
    assert np.allclose(affine_of(group)[:3, [0, 3]].T, [[0, 0, 3], [1, 2, 10]])
    assert group["image"].attributes["scale_factor"] == 0.001
    assert group["image"].attributes["units"] == "Gy"


def segmentation(order, rows=8, columns=8):
    """Return a segmentation of 1 bit with frames for some segments at some places."""
    frames = [
        plane(float(z), SegmentIdentificationSequence={"ReferencedSegmentNumber": s})
        for s, z in order
    ]
    data = enhanced(frames, SHARED, sop_class=SEG)
    masks = np.stack([pixels(k, rows=rows, columns=columns) % 2 for k in range(len(order))])
    with_pixels(data, masks.astype(np.uint8), 8)
    data.Modality = "SEG"
    data.SegmentationType = "BINARY"
    data.BitsAllocated = data.BitsStored = 1
    data.HighBit = 0
    data.PixelData = np.packbits(masks.reshape(-1).astype(np.uint8), bitorder="little").tobytes()
    return data, masks


def test_segments_are_a_dimension(tmp_path):
    order = [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)]
    data, masks = segmentation(order)
    group, _ = collect([save(data, tmp_path / "seg")])
    array = group["image"]
    assert array.dimension_names == ("segment", "z", "y", "x")
    assert array.shape[:2] == (3, 3)
    assert array.chunks.absent == 4
    assert opened(group)["segment"][...].tolist() == [1, 2, 3]
    true = np.zeros(array.shape, np.uint8)
    for (s, z), mask in zip(order, masks, strict=True):
        true[s - 1, z] = mask
    assert np.array_equal(opened(group)["image"][...], true)


def test_frames_that_share_bytes_stay_in_a_row(tmp_path):
    order = [(2, 0), (1, 1), (1, 0)]
    data, masks = segmentation(order, rows=5, columns=5)
    group, report = collect([save(data, tmp_path / "seg")])
    assert group["image"].dimension_names == ("frame", "y", "x")
    assert np.array_equal(opened(group)["image"][...], masks)
    assert opened(group)["segment"][...].tolist() == [2, 1, 1]
    assert any("share bytes" in warning for warning in report.warnings)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("entries", [16, 18])
def test_palettes_are_kept_beside_their_pixels(tmp_path, bits, entries):
    from pydicom.pixels import apply_color_lut

    data = slice_of((0, 0, 0), 1)
    with_pixels(data, (pixels(1) % 24).astype(np.uint8), 8)
    data.PhotometricInterpretation = "PALETTE COLOR"
    rng = np.random.default_rng(entries)
    for name in ("Red", "Green", "Blue"):
        table = rng.integers(0, 2**bits, entries).astype(f"u{bits // 8}").tobytes()
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [entries, 2, bits])
        setattr(data, f"{name}PaletteColorLookupTableData", table + b"\0" * (len(table) % 2))
    group, _ = collect([save(data, tmp_path / "palette")])
    palette = np.asarray(opened(group)["palette"][...])
    first = group["palette"].attributes["first_value"]
    index = np.clip(opened(group)["image"][0].astype(int) - first, 0, len(palette) - 1)
    assert np.array_equal(palette[index], apply_color_lut(data.pixel_array, data))


@pytest.mark.parametrize("signed", [False, True])
def test_modality_tables_are_kept_beside_their_pixels(tmp_path, signed):
    from pydicom.pixels import apply_modality_lut

    kind = np.int16 if signed else np.uint16
    first = -5 if signed else 40000
    data = slice_of((0, 0, 0), 1)
    values = (pixels(1).astype(int) % 24 + first).astype(kind)
    with_pixels(data, values)
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [16, first, 16])
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "OW", np.arange(16, dtype="<u2")[::-1].tobytes())
    data.ModalityLUTSequence = [item]
    group, report = collect([save(data, tmp_path / "table")])
    table = np.asarray(opened(group)["modality_lut"][...])
    start = group["modality_lut"].attributes["first_value"]
    index = np.clip(opened(group)["image"][0].astype(int) - start, 0, len(table) - 1)
    read = pydicom.dcmread(tmp_path / "table")
    assert np.array_equal(table[index], apply_modality_lut(read.pixel_array, read))
    assert any("modality_lut" in warning for warning in report.warnings)


def test_several_series_lie_below_their_study(tmp_path):
    made = [
        slice_of((0, 0, k), k + 1, study=t, series=s) for t in "ab" for s in "xy" for k in (0, 1)
    ]
    group, report = collect(save_all(tmp_path, made))
    arrays = sorted(path for path, _ in group.arrays() if path.endswith("image"))
    assert arrays == [f"study-{i}/series-{j}/image" for i in (1, 2) for j in (1, 2)]
    assert all(row.path.startswith("/") for row in report.rows)


def test_a_single_series_opens_with_xarray(tmp_path):
    import xarray

    from refmaker.storage.reference_set import ReferenceSet

    refs = tmp_path / "refs.json"
    group, report = collect(repeated(tmp_path, "EchoTime", ["1", "2"]))
    ReferenceSet(group, report).write(refs)
    mapper = {"fo": str(refs), "remote_protocol": "file"}
    with xarray.open_dataset(
        "reference://",
        engine="zarr",
        backend_kwargs={"consolidated": False, "storage_options": mapper},
    ) as dataset:
        assert dataset.image.dims == ("echo_time", "z", "y", "x")
        assert dataset.sel(echo_time=2.0).image.shape == (4, 6, 5)


def test_what_is_no_image_is_named(tmp_path):
    paths = save_all(tmp_path, [slice_of((0, 0, k), k + 1) for k in range(2)])
    report = save(instance(REPORT, series="sr", Modality="SR"), tmp_path / "report")
    other = tmp_path / "notes.txt"
    other.write_text("no image")
    group, account = collect([*paths, report, str(other)])
    assert group["image"].shape[0] == 2
    assert {(row.path, row.code) for row in account.skipped} == {
        ("/report", "not-an-image"),
        ("/notes.txt", "not-dicom"),
    }
    assert any("structured report" in row.reason for row in account.skipped)


def test_a_damaged_instance_costs_only_itself(tmp_path):
    paths = save_all(tmp_path, [slice_of((0, 0, k), k + 1) for k in range(5)])
    path = Path(paths[2])
    path.write_bytes(path.read_bytes()[:-10])
    group, report = collect(paths)
    assert group["image"].chunks.present == 4
    assert len(report.skipped) == 1
    assert report.skipped[0].code == "damaged"


@given(
    places=st.integers(2, 12),
    gaps=st.sets(st.integers(1, 10), max_size=3),
    step=st.floats(0.1, 20),
    tilt=st.floats(-0.4, 0.4),
    seed=st.integers(0, 2**32),
)
def test_affines_map_every_slice_to_its_position(places, gaps, step, tilt, seed):
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    orientation = np.concatenate([axes[0], axes[1]])
    across = geometry.normal(orientation)
    vector = step * (across + tilt * axes[0])
    present = np.array([k for k in range(places) if k not in gaps])
    origin = rng.normal(size=3) * 100
    shuffled = rng.permutation(present)
    found = geometry.stack(origin + shuffled[:, None] * vector, orientation)
    distances = np.diff(present)
    usual = distances == np.median(distances) if distances.size else distances
    if present.size < 2 or found is None:
        return
    if found.step is None:
        assert found.size == present.size
        assert 2 * usual.sum() <= distances.size or np.median(distances) != 1
        return
    unit = round(float(np.linalg.norm(found.step) / np.linalg.norm(vector)))
    assert np.allclose(found.step, vector * unit, rtol=1e-6)
    base = origin + present[0] * vector
    assert np.allclose(base + found.slot[:, None] * found.step, origin + shuffled[:, None] * vector)


def test_orientations_are_parallel_within_rounding():
    turn = np.array([AXIAL, AXIAL, SAGITTAL, (np.nan,) * 6, (1, 0, 0, 0, 1, 5e-5)])
    assert geometry.orientation_groups(turn).tolist() == [0, 0, 1, 2, 0]
