"""Siemens mosaics: tiles as slices, with their places."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from refmaker.codecs.dicom import DICOM
from refmaker.errors import FormatError, MetadataError
from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanners.dicom.csa import read_csa
from tests.scanners.dicom.image_files import instance, numbers, save, with_pixels
from tests.scanners.dicom.test_volumes import affine_of, collect, opened


def csa(tags, version=2):
    """Return a CSA header with tags of some texts each."""
    out = b"SV10\4\3\2\1" if version == 2 else b""
    out += struct.pack("<2I", len(tags), 77)
    first = None
    for name, texts in tags:
        items = max(6, len(texts))
        first = items if first is None else first
        out += name.encode().ljust(64, b"\0") + struct.pack(
            "<i4s3i", len(texts), b"FD", 6, items, 77
        )
        for k in range(items):
            text = texts[k].encode() + b"\0" if k < len(texts) else b""
            length = len(text) if version == 2 else len(text) + first
            out += struct.pack("<4i", length, len(text), 77, len(text))
            out += text + bytes(-len(text) % 4)
    return out


FIRST = np.array([10.0, 20.0, 30.0])


def mosaic(number, count=5, tile=(8, 6), *, normal=(0, 0, -1), header=True, told=True, version=2):
    """Return an instance whose tiles are slices 3 mm apart, and the slices."""
    across = math.ceil(math.sqrt(count))
    tall, wide = tile
    rows, columns = across * tall, across * wide
    slices = np.random.default_rng(number).integers(0, 4096, (count, tall, wide)).astype(np.uint16)
    tiles = np.zeros((across * across, tall, wide), np.uint16)
    tiles[:count] = slices
    picture = tiles.reshape(across, across, tall, wide).transpose(0, 2, 1, 3)
    data = instance(number=number, AcquisitionNumber=number)
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    corner = FIRST - [2.5 * (columns - wide) / 2, 2 * (rows - tall) / 2, 0]
    data.ImagePositionPatient = numbers(corner)
    data.ImageOrientationPatient = numbers((1, 0, 0, 0, 1, 0))
    data.PixelSpacing = numbers((2, 2.5))
    data.SpacingBetweenSlices = "3"
    with_pixels(data, picture.reshape(rows, columns))
    if told:
        data.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    if header:
        tags = [
            ("NumberOfImagesInMosaic", [str(count)]),
            ("SliceNormalVector", [f"{value:.8f}" for value in normal]),
        ]
        block = data.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", csa(tags, version))
    return data, slices


def equal_to_pydicom(paths, group):
    with DICOMScanner().native_collection(paths, None) as native:
        for name, array in group.arrays():
            true = native.read(name, array, tuple(slice(0, n) for n in array.shape))
            np.testing.assert_array_equal(opened(group)[name][...], true, err_msg=name)


@pytest.mark.parametrize("normal", [(0, 0, -1), (0, 0, 1)])
@pytest.mark.parametrize(("count", "tile"), [(5, (8, 6)), (4, (4, 4)), (2, (3, 5)), (9, (4, 6))])
@pytest.mark.parametrize("version", [1, 2])
def test_tiles_are_slices(tmp_path, normal, count, tile, version):
    made = [mosaic(k, count, tile, normal=normal, version=version) for k in (1, 2, 3)]
    paths = [save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)]
    group, report = collect(paths[::-1])
    array = group["image"]
    assert array.dimension_names == ("acquisition_number", "z", "y", "x")
    assert array.chunks.grid == (3, 1, 1, 1)
    assert np.array_equal(opened(group)["image"][...], [slices for _, slices in made])
    places = FIRST + np.arange(count)[:, None] * 3 * np.array(normal)
    assert np.allclose(opened(group)["position"][...], places)
    corners = affine_of(group) @ [[*range(count)], [0] * count, [0] * count, [1] * count]
    assert np.allclose(corners[:3].T, places)
    assert not array.attributes.get("is_sheared")
    assert report.warnings == []
    equal_to_pydicom(paths, group)


@pytest.mark.parametrize("damage", [None, "cut", "other"])
def test_without_the_header_slices_have_no_places(tmp_path, damage):
    data, slices = mosaic(1, header=damage is not None)
    if damage:
        element = data[0x0029, 0x1010]
        element.value = element.value[:100] if damage == "cut" else b"x" * 200
    path = save(data, tmp_path / "a.dcm")
    group, report = collect([path])
    assert np.array_equal(opened(group)["image"][...], slices)
    assert group["image"].attributes["affine"] is None
    assert not {"z", "position"} & group.members.keys()
    assert any("places of the slices" in told for told in report.warnings)
    equal_to_pydicom([path], group)


@pytest.mark.parametrize("kind", ["nothing tells", "does not divide", "directions differ"])
def test_pictures_that_cannot_be_cut_stay_whole(tmp_path, kind):
    made = [mosaic(k, header=kind != "nothing tells", told=kind != "nothing tells") for k in (1, 2)]
    if kind == "does not divide":
        made = [mosaic(k, header=False, told=False) for k in (1, 2)]
        for data, _ in made:
            block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0A, "US", 60)
    if kind == "directions differ":
        made[1] = mosaic(2, normal=(0, 0, 1))
    paths = [save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)]
    group, report = collect(paths)
    read = np.asarray(opened(group)["image"][...]).reshape(2, 24, 18)
    assert np.array_equal(read, [data.pixel_array for data, _ in made])
    assert any("mosaic" in told for told in report.warnings)
    equal_to_pydicom(paths, group)


def test_a_compressed_mosaic(tmp_path):
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLosslessSV1

    data, slices = mosaic(1)
    stream = imagecodecs.jpeg8_encode(data.pixel_array, lossless=True, bitspersample=16)
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    data.PixelData = encapsulate([stream])
    data["PixelData"].is_undefined_length = True
    group, _ = collect([save(data, tmp_path / "a.dcm")])
    assert np.array_equal(opened(group)["image"][...], slices)


def test_private_texts_are_not_written(tmp_path):
    data, _ = mosaic(1)
    group, report = collect([save(data, tmp_path / "a.dcm")])
    names = {name for array in (group["image"],) for name in array.attributes}
    assert not [name for name in names if name.startswith("tag_")]
    assert report.warnings == []


@given(st.binary(max_size=400), st.booleans())
def test_any_header_is_read_or_refused(raw, second):
    for data in (raw, b"SV10\4\3\2\1" + struct.pack("<2I", 3, 77) + raw if second else raw):
        try:
            read_csa(data, {"NumberOfImagesInMosaic"})
        except FormatError:
            continue


def test_cut_headers_are_refused_at_every_byte():
    whole = csa([("NumberOfImagesInMosaic", ["5"]), ("SliceNormalVector", ["0", "0", "1"])])
    assert read_csa(whole, {"SliceNormalVector"}) == {"SliceNormalVector": ["0", "0", "1"]}
    for stop in range(0, len(whole) - 16, 7):
        with pytest.raises(FormatError):
            read_csa(whole[:stop], {"SliceNormalVector"})


@pytest.mark.parametrize("tiles", [[2, 2], [2, 2, 5], [3, 2, 4], "22", [0, 2, 1], [2, 2, True]])
def test_tiles_that_fit_no_picture(tiles):
    with pytest.raises(MetadataError):
        DICOM([1, 8, 6, 1], "<u2", tiles=tiles)


def vframe(number, count=20, *, tilt=0.0, places=None, told=None, **elements):
    """Return an instance of United Imaging whose tiles are slices 4.2 mm apart, and the slices."""
    across = math.ceil(math.sqrt(count))
    down = -(-count // across)
    tall, wide = 6, 4
    slices = np.random.default_rng(number).integers(0, 4096, (count, tall, wide)).astype(np.uint16)
    tiles = np.zeros((down * across, tall, wide), np.uint16)
    tiles[:count] = slices
    picture = tiles.reshape(down, across, tall, wide).transpose(0, 2, 1, 3)
    data = instance(number=number, Manufacturer="UIH", **elements)
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    row, column = (0.8, 0.6, 0.0), (-0.6, 0.8, 0.0)
    data.ImageOrientationPatient = numbers((*row, *column))
    data.PixelSpacing = numbers((3.5, 2.5))
    with_pixels(data, picture.reshape(down * tall, across * wide))
    block = data.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x09, "FD", 929.75 if number > 1 else 1.25)
    gradient = np.random.default_rng(number).normal(size=3) if number > 1 else np.zeros(3)
    block.add_new(0x37, "FD", list(gradient / max(np.linalg.norm(gradient), 1e-9)))
    block.add_new(0x50, "DS", str(told or count))
    items = []
    for k in range(count if places is None else places):
        item = instance(number=1)
        for name in list(item.keys()):
            del item[name]
        item.ImagePositionPatient = numbers(FIRST + k * np.array([0, tilt, 4.2]))
        item.AcquisitionTime = f"1337{48 + k % 2:02d}.{283 + k:03d}000"
        items.append(item)
    block.add_new(0x51, "SQ", items)
    return data, slices


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("implicit", [False, True])
def test_tiles_of_united_imaging_lie_where_their_items_say(tmp_path, count, implicit):
    made = [vframe(k, count) for k in (1, 2, 3)]
    for data, _ in made:
        if implicit:
            data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    paths = [save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)]
    group, report = collect(paths[::-1])
    array = group["image"]
    assert array.dimension_names == ("diffusion", "z", "y", "x")
    stock = opened(group)
    order = [[1.25, 929.75].index(value) for value in stock["b_value"][...]]
    assert order == [0, 1, 1]
    read = stock["image"][...]
    assert np.array_equal(read[0], made[0][1])
    assert {plane.tobytes() for plane in read} == {slices.tobytes() for _, slices in made}
    corners = affine_of(group) @ [[*range(count)], [0] * count, [0] * count, [1] * count]
    places = FIRST + np.arange(count)[:, None] * [0, 0, 4.2]
    assert np.allclose(corners[:3].T, places)
    assert np.allclose(stock["position"][...], places)
    along_row = affine_of(group) @ [0, 0, 2, 1]
    assert np.allclose(along_row[:3], FIRST + 5 * np.array([0.8, 0.6, 0]))
    true = np.array([1000.0 * (k % 2) + k for k in range(count)])
    assert np.allclose(stock["slice_time"][...], true - true.min(), atol=1e-6)
    assert report.warnings == []
    if not implicit:
        # Of private elements in implicit VR pydicom knows the bytes alone.
        equal_to_pydicom(paths, group)


@pytest.mark.parametrize("case", [{"places": 4}, {"places": 0}])
def test_united_imaging_without_places_stays_a_picture(tmp_path, case):
    data, _ = vframe(1, 5, **case)
    path = save(data, tmp_path / "a.dcm")
    group, report = collect([path])
    assert np.array_equal(np.squeeze(opened(group)["image"][...]), data.pixel_array)
    assert any("mosaic" in told for told in report.warnings)
    equal_to_pydicom([path], group)


def test_pictures_of_united_imaging_at_other_places_stay_pictures(tmp_path):
    made = [vframe(1, 5), vframe(2, 5, tilt=0.5)]
    paths = [save(data, tmp_path / f"{k}.dcm") for k, (data, _) in enumerate(made)]
    group, report = collect(paths)
    read = np.asarray(opened(group)["image"][...]).reshape(2, 12, 12)
    assert np.array_equal(read, [data.pixel_array for data, _ in made])
    assert any("different directions" in told for told in report.warnings)


@pytest.mark.parametrize("told", ["0", "1", "7.5", "1e9", "x", "36"])
def test_counts_of_tiles_that_mean_nothing(tmp_path, told):
    data, _ = vframe(1, 5, told="55555")
    path = tmp_path / "a.dcm"
    save(data, path)
    path.write_bytes(path.read_bytes().replace(b"55555 ", told.encode().ljust(6)))
    group, report = collect([str(path)])
    assert np.array_equal(np.squeeze(opened(group)["image"][...]), data.pixel_array)
    assert any("mosaic" in told for told in report.warnings)
