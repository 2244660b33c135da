"""Siemens mosaics: tiles as slices, with their places."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
            assert np.array_equal(opened(group)[name][...], true), name


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
