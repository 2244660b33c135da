"""What vendors tell of diffusion in elements of their own: b-values, directions, numbers."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.scanners.dicom.image_files import enhanced, save, save_all, slice_of
from tests.scanners.dicom.test_mosaics import csa, mosaic
from tests.scanners.dicom.test_volumes import SHARED, collect, opened, plane

ROW = np.array([0.8, 0.6, 0.0])
DOWN = np.array([-0.36, 0.48, 0.8])
ACROSS = np.cross(ROW, DOWN)
OBLIQUE = (*ROW, *DOWN)
DIRECTIONS = np.array([[0.6, 0.0, 0.8], [0.0, -0.6, 0.8], [-0.48, 0.6, 0.64]])
B_VALUES = [0, 750, 750, 750]


def philips(data, b_value, vector):
    block = data.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x03, "FL", b_value)
    block = data.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    for element, part in zip(
        (0xB0, 0xB1, 0xB2), np.zeros(3) if vector is None else vector, strict=True
    ):
        block.add_new(element, "FL", float(part))


def siemens(data, b_value, vector):
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", str(b_value))
    if vector is not None:
        block.add_new(0x0E, "FD", [float(part) for part in vector])


def ge(data, b_value, vector, *, phase="COL"):
    """GE: 10**9 is added to b-values, and signs are those of its own axes."""
    if vector is not None:
        data.DiffusionBValue = float(b_value)
    data.InPlanePhaseEncodingDirection = phase
    block = data.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [str(1_000_000_000 + b_value), "8", "0", "0"])
    block = data.private_block(0x0019, "GEMS_ACQU_01", create=True)
    vector = np.zeros(3) if vector is None else vector
    stored = [-vector @ ROW, -vector @ DOWN, vector @ ACROSS]
    for element, part in zip((0xBB, 0xBC, 0xBD), stored, strict=True):
        block.add_new(element, "DS", f"{part:.9g}")


def uih(data, b_value, vector):
    block = data.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x09, "FD", float(b_value))
    block.add_new(0x0A, "FD", 1000.0)
    if vector is not None:
        block.add_new(0x37, "FD", [float(vector @ axis) for axis in (ROW, DOWN, ACROSS)])


def in_csa(data, b_value, vector):
    data.ScanningSequence = "EP"
    tags = [("B_value", [str(b_value)]), ("DiffusionGradientDirection", [])]
    if vector is not None:
        tags[1] = (tags[1][0], [f"{part:.8f}" for part in vector])
    block = data.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa(tags))


def standard(data, b_value, vector):
    data.DiffusionBValue = float(b_value)
    if vector is not None:
        data.DiffusionGradientOrientation = [float(part) for part in vector]


VENDORS = {
    "standard": standard,
    "philips": philips,
    "siemens": siemens,
    "ge": ge,
    "uih": uih,
    "csa": in_csa,
}


def series(tell, *, places=2, syntax=ExplicitVRLittleEndian, b_values=B_VALUES, before=()):
    """Return instances of one volume for each b-value, the first without a direction."""
    made, number = [], 0
    for k, b_value in enumerate(b_values):
        for place in range(places):
            number += 1
            # Printed slightly differently on each slice, as GE does it.
            printed = np.array(OBLIQUE) + 1e-7 * place
            data = slice_of(ACROSS * 2.0 * place, number, orientation=printed)
            data.file_meta.TransferSyntaxUID = syntax
            for group in (0x0019, 0x0029, 0x0043, 0x0065, 0x2001, 0x2005):
                for name in before:
                    data.private_block(group, name, create=True).add_new(0x0C, "LO", "SENTINEL")
            tell(data, b_value, None if k == 0 else DIRECTIONS[k - 1])
            made.append(data)
    return made


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("before", [(), ("SOMEBODY", "SOMEBODY ELSE")], ids=["first", "third"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_directions_are_the_patients(tmp_path, vendor, before, syntax):
    made = series(VENDORS[vendor], before=before, syntax=syntax)
    if syntax == ExplicitVRBigEndian:
        for data in made:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    group, report = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names == ("diffusion", "z", "y", "x")
    assert group["image"].shape[:2] == (4, 2)
    read = opened(group)
    order = [0, *(1 + np.argmax(read["b_vector"][1:] @ DIRECTIONS.T, axis=1))]
    assert sorted(order) == [0, 1, 2, 3]
    assert read["b_value"][...].tolist() == B_VALUES
    assert group["b_value"].attributes["units"] == "s/mm2"
    vectors = read["b_vector"][...]
    assert np.abs(vectors[1:] - DIRECTIONS[np.array(order[1:]) - 1]).max() < 5e-7
    if vendor in ("philips", "ge"):
        assert np.array_equal(vectors[0], np.zeros(3))
    else:
        assert np.isnan(vectors[0]).all()
    right = np.array([[made[2 * k + z].pixel_array for z in (0, 1)] for k in order])
    assert np.array_equal(read["image"][...], right)
    assert group["b_vector"].attributes["axes"] == "LPS"
    assert "b_vector_stored" not in group.members
    assert report.warnings == []


@pytest.mark.parametrize("vendor", ["philips", "siemens", "ge", "uih"])
def test_elements_of_unknown_representation_are_read_as_the_table_says(tmp_path, vendor):
    made = series(VENDORS[vendor])
    for k, data in enumerate(made):
        path = save(data, tmp_path / "a.dcm")
        implicit = pydicom.dcmread(path)
        implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        implicit.save_as(path, enforce_file_format=True)
        # What is read from implicit files is of unknown representation in explicit ones.
        raw = pydicom.dcmread(path)
        for element in list(raw._dict.values()):
            if element.tag.is_private and not element.tag.is_private_creator:
                raw._dict[element.tag] = element._replace(VR="UN")
        raw.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        raw.save_as(tmp_path / f"{k:02d}.dcm", implicit_vr=False, little_endian=True)
    (tmp_path / "a.dcm").unlink()
    group, _ = collect(sorted(str(path) for path in tmp_path.iterdir()))
    assert opened(group)["b_value"][...].tolist() == B_VALUES


@pytest.mark.parametrize("vendor", ["philips", "siemens", "ge", "uih"])
def test_elements_of_another_creator_mean_nothing(tmp_path, vendor):
    made = series(VENDORS[vendor], places=1)
    for data in made:
        for element in data:
            if element.tag.is_private_creator:
                element.value = "SOMEBODY ELSE"
        if "DiffusionBValue" in data:
            del data.DiffusionBValue
    group, _ = collect(save_all(tmp_path, made))
    assert not {"b_value", "b_vector"} & group.members.keys()
    assert not {"b_value", "b_vector"} & group["image"].attributes.keys()


def test_the_creator_of_each_file_counts(tmp_path):
    # Files that are alike in all but their creators, which decide.
    made = [slice_of((0, 0, z), z + 1) for z in range(9)]
    for z, data in enumerate(made):
        name = ["SOMEBODY HEADER 1", "SOMEBODY HEADER 2", "SIEMENS MR HEADER"][z // 3]
        block = data.private_block(0x0019, name, create=True)
        block.add_new(0x0C, "IS", str(1000 + z))
    paths = [save(data, tmp_path / f"{z}.dcm") for z, data in enumerate(made)]
    read = opened(collect(paths)[0])
    assert np.array_equal(read["b_value"][...], [*[np.nan] * 6, 1006, 1007, 1008], equal_nan=True)


def test_standard_elements_come_first(tmp_path):
    made = series(siemens)
    for data in made[2:]:
        data.DiffusionBValue = 1000.0
        data.DiffusionGradientOrientation = [0.0, 0.0, float((data.InstanceNumber - 1) // 2)]
    read = opened(collect(save_all(tmp_path, made))[0])
    assert read["b_value"][...].tolist() == [0, 1000, 1000, 1000]
    assert np.array_equal(read["b_vector"][1:, :2], np.zeros((3, 2)))


def test_zero_everywhere_is_no_diffusion(tmp_path):
    made = series(lambda data, b, _: ge(data, b, None), b_values=[0, 0])
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names[0] == "repeat"
    assert not {"b_value", "b_vector", "diffusion"} & group.members.keys()


def test_directions_of_unknown_axes_are_told_as_they_stand(tmp_path):
    made = series(lambda *told: ge(*told, phase="ROW"))
    group, report = collect(save_all(tmp_path, made))
    read = opened(group)
    assert group["image"].shape[:2] == (4, 2)
    assert read["b_value"][...].tolist() == B_VALUES
    assert "b_vector" not in group.members or np.isnan(read["b_vector"][1:]).all()
    stored = DIRECTIONS @ np.array([-ROW, -DOWN, ACROSS]).T
    assert np.allclose(sorted(read["b_vector_stored"][1:].tolist()), sorted(stored.tolist()))
    assert group["b_vector_stored"].attributes["axes"] == "frequency, phase, slice"
    assert any("axes of the diffusion directions" in told for told in report.warnings)


def test_short_directions_are_told_of(tmp_path):
    made = series(lambda data, b, v: ge(data, b, None if v is None else v * 0.5))
    group, report = collect(save_all(tmp_path, made))
    read = opened(group)
    assert read["b_value"][...].tolist() == B_VALUES
    assert np.allclose(np.linalg.norm(read["b_vector"][1:], axis=1), 0.5)
    assert any("shorter than 1" in told for told in report.warnings)


@pytest.mark.parametrize(
    ("vendor", "group", "element", "vr", "value"),
    [
        ("siemens", 0x0019, 0x100C, "IS", b"7_50"),
        ("siemens", 0x0019, 0x100C, "IS", b"-750"),
        ("siemens", 0x0019, 0x100C, "IS", b"750.5"),
        ("siemens", 0x0019, 0x100E, "FD", np.array([1.0, 0.0]).tobytes()),
        ("siemens", 0x0019, 0x100E, "FD", np.array([1.0, 0.0, np.nan]).tobytes()),
        ("philips", 0x2001, 0x1003, "FL", np.array([np.inf], "f4").tobytes()),
        ("philips", 0x2001, 0x1003, "FL", b"ab"),
        ("philips", 0x2005, 0x10B1, "FL", np.array([1, 2], "f4").tobytes()),
        ("ge", 0x0043, 0x1039, "IS", b"\\8\\0\\0 "),
        ("ge", 0x0043, 0x1039, "IS", b"-750\\8"),
        ("ge", 0x0019, 0x10BC, "DS", b"0.5.0 "),
        ("uih", 0x0065, 0x1009, "FD", np.array([750.0, 3.0]).tobytes()),
        ("standard", 0x0018, 0x9087, "FD", np.array([750.0, 3.0]).tobytes()),
        ("standard", 0x0018, 0x9089, "FD", np.array([1.0, 0.0]).tobytes()),
    ],
)
def test_numbers_without_one_reading_are_refused_by_name(
    tmp_path, vendor, group, element, vr, value
):
    made = series(VENDORS[vendor], places=1)
    paths = [save(data, tmp_path / f"{k}.dcm") for k, data in enumerate(made)]
    damaged = pydicom.dcmread(paths[2])
    if vendor == "ge":
        del damaged.DiffusionBValue
    tag = Tag(group, element)
    value += b" " * (len(value) % 2)
    damaged._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True, True)
    damaged.save_as(paths[2])
    found, report = collect(paths)
    read = opened(found)
    is_b_value = element in (0x100C, 0x1003, 0x1039, 0x1009, 0x9087)
    values = read["b_value"][...] if "b_value" in found.members else None
    if is_b_value:
        assert sorted(values[np.isfinite(values)]) == [0, 750, 750]
    else:
        vectors = read["b_vector"][...]
        assert int(np.isfinite(vectors).all(axis=1).sum()) == (
            3 if vendor in ("philips", "ge") else 2
        )
    assert any(f"({group:04X},{element:04X})" in told for told in report.warnings)
    assert any("2.dcm" in told for told in report.warnings)


def test_philips_numbers_its_volumes(tmp_path):
    # Two averages of the same direction are different volumes by their numbers alone.
    made, number = [], 0
    for b_number, gradient in [(1, 1), (2, 1), (2, 2), (2, 3)]:
        for place in range(2):
            number += 1
            data = slice_of((0, 0, 2.0 * place), number)
            philips(data, 0 if b_number == 1 else 750, None if b_number == 1 else DIRECTIONS[0])
            data.private_block(0x2005, "SOMEBODY", create=True)
            block = data.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            block.add_new(0x12, "IS", str(b_number))
            block.add_new(0x13, "IS", str(gradient))
            made.append(data)
    group, _ = collect(save_all(tmp_path, made))
    array = group["image"]
    assert set(array.dimension_names) >= {"diffusion_gradient_number"}
    assert "repeat" not in array.dimension_names
    read = opened(group)
    assert array.shape[-3:] == (2, 6, 5)
    assert sorted(set(np.ravel(read["diffusion_gradient_number"][...]))) == [1, 2, 3]


def test_ge_tells_magnitude_and_phase_in_its_own_element(tmp_path):
    made = []
    for number in range(8):
        data = slice_of((0, 0, number % 2), number + 1)
        block = data.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x2F, "SS", number // 2)
        made.append(data)
    group, report = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names[0] == "complex_component"
    names = opened(group)["complex_component"][...].tolist()
    assert names == ["MAGNITUDE", "PHASE", "REAL", "IMAGINARY"]
    assert report.warnings == []


def test_an_unknown_component_is_told_of(tmp_path):
    data = slice_of((0, 0, 0), 1)
    data.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 9)
    group, report = collect([save(data, tmp_path / "a.dcm")])
    assert "complex_component" not in group["image"].attributes
    assert any("(0043,102F)" in told for told in report.warnings)


@pytest.mark.parametrize("mode", ["safe", "all", "none"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_private_elements_are_never_written_as_they_stand(tmp_path, vendor, mode):
    made = series(VENDORS[vendor], before=("SOMEBODY",))
    for data in made:
        block = data.private_block(0x0019, "GEMS_ACQU_01", create=True)
        block.add_new(0x9E, "LO", "SENTINEL^PRIVATE")
    group, _ = collect(save_all(tmp_path, made), metadata=mode)
    names = {name for _, array in group.arrays() for name in array.attributes} | set(group.members)
    assert not [name for name in names if name.startswith("tag_")]
    assert "SENTINEL^PRIVATE" not in json.dumps([dict(a.attributes) for _, a in group.arrays()])
    assert {"b_value", "b_vector"} <= group.members.keys()


TIMES = [0.0, 677.5, 75.0, 752.5, 150.0]


def timed(number, where, *, times=TIMES, positive="1"):
    """Return a mosaic that tells of its slices and of phase encoding."""
    data, slices = mosaic(number, 5, (8, 8))
    data.InPlanePhaseEncodingDirection = "COL"
    told = {"MosaicRefAcqTimes": [f"{1000 * number + time:.8f}" for time in times]}
    told["PhaseEncodingDirectionPositive"] = [positive]
    told["BandwidthPerPixelPhaseEncode"] = ["31.25"]
    if where == "element":
        block = data.private_block(0x0019, "SIEMENS MR HEADER")
        block.add_new(0x29, "FD", [5000.0 + time for time in times])
        block.add_new(0x28, "FD", 31.25)
        del told["MosaicRefAcqTimes"], told["BandwidthPerPixelPhaseEncode"]
    known = [("NumberOfImagesInMosaic", ["5"]), ("SliceNormalVector", ["0", "0", "1"])]
    data[0x0029, 0x1010].value = csa([*known, *told.items()])
    return data, slices


@pytest.mark.parametrize("where", ["csa", "element"])
def test_slice_times_and_phase_encoding_of_mosaics(tmp_path, where):
    paths = [save(timed(k, where)[0], tmp_path / f"{k}.dcm") for k in (1, 2, 3)]
    group, report = collect(paths)
    assert group["slice_time"].dimension_names == ("z",)
    assert group["slice_time"].attributes["units"] == "ms"
    assert np.allclose(opened(group)["slice_time"][...], TIMES)
    attributes = group["image"].attributes
    assert attributes["phase_encoding_direction_positive"] == 1
    assert attributes["bandwidth_per_pixel_phase_encode"] == 31.25
    # One over the bandwidth times the rows of a slice, not of the picture.
    assert attributes["effective_echo_spacing"] == pytest.approx(1 / (31.25 * 8))
    assert report.warnings == []


def test_slice_times_that_differ_are_told_for_each_volume(tmp_path):
    other = TIMES[::-1]
    made = [timed(1, "csa"), timed(2, "csa", times=other, positive="0")]
    group, _ = collect([save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)])
    assert group["slice_time"].dimension_names == ("acquisition_number", "z")
    assert np.allclose(opened(group)["slice_time"][...], [TIMES, other])
    assert opened(group)["phase_encoding_direction_positive"][...].tolist() == [1, 0]


@pytest.mark.parametrize("where", ["csa", "element"])
def test_slice_times_of_another_count_are_refused(tmp_path, where):
    data, slices = timed(1, where, times=TIMES[:4])
    group, report = collect([save(data, tmp_path / "a.dcm")])
    assert np.array_equal(opened(group)["image"][...], slices)
    assert "slice_time" not in group.members
    tag = "(0029,1010)" if where == "csa" else "(0019,1029)"
    assert any(tag in told for told in report.warnings)


def test_no_times_and_phases_without_metadata(tmp_path):
    group, _ = collect([save(timed(1, "csa")[0], tmp_path / "a.dcm")], metadata="none")
    assert "slice_time" not in group.members
    assert "effective_echo_spacing" not in group["image"].attributes


def test_echo_spacing_of_ge(tmp_path):
    data = slice_of((0, 0, 0), 1)
    data.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2C, "SS", 636)
    group, _ = collect([save(data, tmp_path / "a.dcm")])
    assert group["image"].attributes["echo_spacing"] == pytest.approx(636e-6)
    assert "effective_echo_spacing" not in group["image"].attributes


def test_phase_encoding_of_frames(tmp_path):
    frames = [plane(3.0 * z) for z in range(3)]
    data = enhanced(frames, SHARED)
    for item in data.PerFrameFunctionalGroupsSequence:
        inner = Dataset()
        other = inner.private_block(0x0021, "SIEMENS MR SDS 01", create=True)
        other.add_new(0x1C, "DS", ["8.5", "1", "2"])
        block = inner.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
        block.add_new(0x1C, "IS", "0")
        block.add_new(0x53, "FD", 20.0)
        outer = item.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
        outer.add_new(0xFE, "SQ", [inner])
    group, report = collect([save(data, tmp_path / "a.dcm")])
    attributes = group["image"].attributes
    assert attributes["phase_encoding_direction_positive"] == 0
    assert attributes["bandwidth_per_pixel_phase_encode"] == 20
    assert report.warnings == []


@pytest.mark.parametrize("first", [86_397_492.5, 4880.0])
def test_slice_times_that_cannot_be_are_left_out(tmp_path, first):
    # A sequence that writes wrong times into its first volume.
    wrong = [0.0, first, 75.0, 752.5, 150.0]
    made = [timed(1, "element", times=wrong), timed(2, "element")]
    for data, _ in made:
        data.RepetitionTime = "3000"
    group, report = collect([save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)])
    times = opened(group)["slice_time"][...]
    assert np.isnan(times[0]).all()
    assert np.allclose(times[1], TIMES)
    assert any("longer than a repetition" in told for told in report.warnings)


def test_slice_times_over_several_repetitions_are_kept(tmp_path):
    made = [timed(k, "element") for k in (1, 2)]
    for data, _ in made:
        data.RepetitionTime = "400"
    group, report = collect([save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)])
    assert np.allclose(opened(group)["slice_time"][...], TIMES)
    assert report.warnings == []


def polarity(folder, tell, **elements):
    """Return what is said of the direction of phase encoding, None if nothing is."""
    data = slice_of((0, 0, 0), 1, InPlanePhaseEncodingDirection="COL", **elements)
    tell(data)
    group, _ = collect([save(data, folder / "a.dcm")])
    return group["image"].attributes.get("phase_encoding_direction_positive")


@pytest.mark.parametrize(
    ("order", "positive"),
    [
        ("LINEAR", 0),
        ("REVERSE_LINEAR", 1),
        ("CENTRIC", None),
        ("REVERSE_CENTRIC", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("sequence", ["EP", ["EP", "SE"], "GR"])
def test_the_order_of_phase_encoding_of_ge_tells_its_direction(tmp_path, order, positive, sequence):
    def tell(data):
        data.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2C, "SS", 636)
        data.RectilinearPhaseEncodeReordering = order
        data.ScanningSequence = sequence

    assert polarity(tmp_path, tell) == (None if sequence == "GR" else positive)


@pytest.mark.parametrize("name", ["epi_pepolar", "epi2_PEPOLAR_x"])
def test_sequences_that_turn_phase_encoding_around_do_not_tell(tmp_path, name):
    def tell(data):
        data.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x9C, "LO", name)
        data.RectilinearPhaseEncodeReordering = "LINEAR"
        data.ScanningSequence = "EP"

    assert polarity(tmp_path, tell) is None


def test_the_order_of_other_makers_tells_nothing(tmp_path):
    def tell(data):
        data.Manufacturer = "Philips"
        data.RectilinearPhaseEncodeReordering = "LINEAR"
        data.ScanningSequence = "EP"

    assert polarity(tmp_path, tell) is None


@pytest.mark.parametrize(("flag", "positive"), [("0", 1), ("1", 0), ("2", None)])
def test_united_imaging_flags_the_opposite_direction(tmp_path, flag, positive):
    def tell(data):
        block = data.private_block(0x0065, "Image Private Header", create=True)
        block.add_new(0x58, "IS", flag)

    assert polarity(tmp_path, tell) == positive


@pytest.mark.parametrize("jitter", [0, 0.0005, 0.004])
@pytest.mark.parametrize("kind", ["2D", "3D"])
def test_slice_times_of_frames_are_from_the_first_of_their_volume(tmp_path, jitter, kind):
    order = [0.16, 0.0, 0.32]
    frames = []
    for t in range(3):
        for z in range(3):
            second = 58.5 + 0.48 * t + order[z] + jitter * t * z
            content = {
                "TemporalPositionIndex": t + 1,
                "FrameAcquisitionDateTime": f"201903141259{second:09.6f}",
            }
            frames.append(plane(3.0 * z, FrameContentSequence=content))
    data = enhanced(frames, SHARED)
    data.MRAcquisitionType = kind
    group, _ = collect([save(data, tmp_path / "a.dcm")])
    if kind == "3D":
        assert "slice_time" not in group.members
        return
    times = opened(group)["slice_time"][...]
    assert group["slice_time"].attributes["units"] == "ms"
    if jitter <= 0.0005:
        assert group["slice_time"].dimension_names == ("z",)
        assert np.allclose(times, [160, 0, 320])
    else:
        assert group["slice_time"].dimension_names == ("temporal_position", "z")
        assert np.allclose(times[2], [152, 0, 328])


@pytest.mark.parametrize("sequence", ["EP", "GR"])
def test_slice_times_of_ge_are_trigger_times(tmp_path, sequence):
    made = []
    for t in range(2):
        for z, time in enumerate((187, 937, 375)):
            data = slice_of((0, 0, 3.0 * z), 3 * t + z + 1, TriggerTime=str(time + 1500 * t))
            data.TemporalPositionIdentifier = t + 1
            data.ScanningSequence, data.MRAcquisitionType = sequence, "2D"
            data.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2C, "SS", 636)
            made.append(data)
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names[:2] == ("temporal_position", "z")
    if sequence == "EP":
        assert opened(group)["slice_time"][...].tolist() == [0, 750, 188]
        assert group["slice_time"].dimension_names == ("z",)
    else:
        assert "slice_time" not in group.members
