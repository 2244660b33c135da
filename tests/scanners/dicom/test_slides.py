"""Whole-slide images: tiles in their places, levels of a pyramid, as other libraries read them."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pytest
import wsidicom
from ome_zarr_models.v04 import Image as NGFFImage
from pydicom.sequence import Sequence

from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests import corpora
from tests.scanners.dicom.image_files import group as one_item
from tests.scanners.dicom.image_files import save, slide_level, tiles
from tests.scanners.dicom.test_volumes import collect

ROOT = Path(__file__).parents[3]
CORPUS = corpora.CORPUS / "dicom"


def matrix(rows, columns, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (rows, columns, 3)).astype(np.uint8)


def read(group, path="image"):
    """Return an RGB array with its samples last."""
    return np.moveaxis(np.asarray(open_stock(group)[path][...]), 0, -1)


def test_tiles_fill_the_matrix(tmp_path):
    true = matrix(10, 13)
    group, _ = collect([save(slide_level(true, (4, 6)), tmp_path / "slide")])
    assert group["image"].dimension_names == ("c", "y", "x")
    assert group["image"].shape == (3, 10, 13)
    assert np.array_equal(read(group), true)
    native, _ = collect([str(tmp_path / "slide")], **{"slide-axes": "native"})
    assert native["image"].dimension_names == ("y", "x", "c")
    assert np.array_equal(open_stock(native)["image"][...], true)
    assert not any(str(codec["id"]).startswith("refmaker") for codec in native["image"].codecs)


def pyramid(folder):
    """Write a slide of three levels with label and overview; return paths and matrices."""
    whole = matrix(32, 40)
    levels = [whole, whole[::2, ::2], whole[::4, ::4]]
    made = [
        slide_level(level, (8, 8), number=k + 1, spacing=0.0005 * 2**k)
        for k, level in enumerate(levels)
    ]
    label, overview = matrix(6, 6, 1), matrix(5, 9, 2)
    made.append(slide_level(label, (6, 6), number=9, spacing=0.01, flavor="LABEL"))
    made.append(slide_level(overview, (5, 9), number=8, spacing=0.02, flavor="OVERVIEW"))
    paths = [save(data, folder / f"{9 - k}") for k, data in enumerate(made)]
    return paths, levels, label, overview


def test_levels_are_one_multiscale_image(tmp_path):
    paths, levels, label, overview = pyramid(tmp_path)
    group, _ = collect(paths)
    for k, level in enumerate(levels):
        assert np.array_equal(read(group, f"{k}/image"), level)
    assert np.array_equal(read(group, "associated/label/image"), label)
    assert np.array_equal(read(group, "associated/overview/image"), overview)
    (multiscale,) = group.attributes["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "y", "x"]
    found = [
        [step[step["type"]] for step in dataset["coordinateTransformations"]]
        for dataset in multiscale["datasets"]
    ]
    assert np.allclose(found[0], [[1, 0.5, 0.5], [0, 0, 0]])
    assert np.allclose(found[2], [[1, 2, 2], [0, 0.75, 0.75]])


def test_ngff_readers_accept_the_pyramid(tmp_path):
    import zarr

    paths, _, _, _ = pyramid(tmp_path)
    group, _ = collect(paths)
    stock = open_stock(group)
    assert isinstance(stock, zarr.Group)
    image = NGFFImage.from_zarr(stock)
    assert len(image.attributes.multiscales[0].datasets) == 3


def test_parts_of_a_concatenation_fill_one_level(tmp_path):
    true = matrix(12, 12)
    frames = tiles(true, (4, 4))
    paths = []
    for part, (start, stop) in enumerate([(0, 4), (4, 5), (5, 9)]):
        data = slide_level(true, (4, 4), number=part + 1)
        data.NumberOfFrames = stop - start
        data.PixelData = frames[start:stop].tobytes()
        data.ConcatenationUID = "1.2.3.4.5"
        data.InConcatenationNumber = part + 1
        data.ConcatenationFrameOffsetNumber = start
        paths.append(save(data, tmp_path / f"{2 - part}"))
    group, report = collect(paths)
    assert np.array_equal(read(group), true)
    assert report.warnings == []
    lacking, report = collect([paths[0], paths[2]])
    assert lacking["image"].chunks.absent == 1
    assert any("1 of 9 tiles are missing" in warning for warning in report.warnings)


def sparse(true, tile, order, *, paths=1):
    """Return an instance whose tiles say themselves where they belong."""
    data = slide_level(true, tile)
    data.DimensionOrganizationType = "TILED_SPARSE"
    frames = tiles(true, tile)
    across = -(-true.shape[1] // tile[1])
    items, chosen = [], []
    for number in order:
        y, x = divmod(number, across)
        items.append(
            one_item(
                PlanePositionSlideSequence=one_item(
                    RowPositionInTotalImagePixelMatrix=y * tile[0] + 1,
                    ColumnPositionInTotalImagePixelMatrix=x * tile[1] + 1,
                    ZOffsetInSlideCoordinateSystem="0",
                ),
                OpticalPathIdentificationSequence=one_item(OpticalPathIdentifier="1"),
            )[0]
        )
        chosen.append(frames[number])
    data.PerFrameFunctionalGroupsSequence = Sequence(items)
    data.NumberOfFrames = len(order)
    data.PixelData = np.stack(chosen).tobytes()
    return data


def test_sparse_tiles_lie_where_they_say(tmp_path):
    true = matrix(8, 12)
    order = [5, 0, 4, 2]
    group, report = collect([save(sparse(true, (4, 4), order), tmp_path / "slide")])
    expected = np.full_like(true, 255)
    for number in order:
        y, x = divmod(number, 3)
        cut = slice(4 * y, 4 * y + 4), slice(4 * x, 4 * x + 4)
        expected[cut] = true[cut]
    assert np.array_equal(read(group), expected)
    assert group["image"].chunks.absent == 2
    assert any("2 of 6 tiles were never taken" in warning for warning in report.warnings)


def test_tiles_off_the_grid_stay_in_a_row(tmp_path):
    data = sparse(matrix(8, 8), (4, 4), [0, 1, 2, 3])
    position = data.PerFrameFunctionalGroupsSequence[2].PlanePositionSlideSequence[0]
    position.ColumnPositionInTotalImagePixelMatrix = 3
    group, report = collect([save(data, tmp_path / "slide")])
    assert group["image"].dimension_names == ("frame", "y", "x", "c")
    assert any("stay in a row" in warning for warning in report.warnings)


def test_optical_paths_and_focal_planes_are_dimensions(tmp_path):
    rng = np.random.default_rng(3)
    true = rng.integers(0, 255, (2, 3, 8, 8)).astype(np.uint8)  # path, plane, y, x
    frames = np.concatenate(
        [tiles(plane[..., None], (4, 4))[..., 0] for path in true for plane in path]
    )
    data = slide_level(matrix(8, 8), (4, 4))
    data.SamplesPerPixel = 1
    del data.PlanarConfiguration
    data.PhotometricInterpretation = "MONOCHROME2"
    data.NumberOfOpticalPaths = 2
    data.TotalPixelMatrixFocalPlanes = 3
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = "0.002"
    data.NumberOfFrames = len(frames)
    data.PixelData = frames.tobytes()
    group, _ = collect([save(data, tmp_path / "slide")])
    assert group["image"].dimension_names == ("c", "z", "y", "x")
    assert np.array_equal(open_stock(group)["image"][...], true)
    assert np.allclose(open_stock(group)["z"][...], [0, 2, 4])


def path_item(identifier, **elements):
    """Return an item that describes an optical path."""
    kind = one_item(CodeValue="111743", CodingSchemeDesignator="DCM", CodeMeaning="x")
    item = one_item(OpticalPathIdentifier=identifier, IlluminationTypeCodeSequence=kind)[0]
    item.OpticalPathDescription = "SENTINEL^TEXT"
    for name, value in elements.items():
        setattr(item, name, value)
    return item


@pytest.mark.parametrize("organization", ["TILED_FULL", "TILED_SPARSE"])
def test_optical_paths_are_described(tmp_path, organization):
    true = np.random.default_rng(4).integers(0, 255, (3, 8, 8)).astype(np.uint8)
    frames = np.concatenate([tiles(plane[..., None], (4, 4))[..., 0] for plane in true])
    data = slide_level(matrix(8, 8), (4, 4))
    data.SamplesPerPixel = 1
    del data.PlanarConfiguration
    data.PhotometricInterpretation = "MONOCHROME2"
    data.NumberOfOpticalPaths = 3
    data.NumberOfFrames = len(frames)
    data.PixelData = frames.tobytes()
    names = ["DAPI", "Patricia: x", "Cy5"]
    told = [{"IlluminationWaveLength": 358.0}, {}, {"IlluminationWaveLength": 650.0}]
    items = [path_item(name, **one) for name, one in zip(names, told, strict=True)]
    data.OpticalPathSequence = Sequence(items)
    if organization == "TILED_SPARSE":
        data.DimensionOrganizationType = organization
        data.PerFrameFunctionalGroupsSequence = Sequence(
            [
                one_item(
                    PlanePositionSlideSequence=one_item(
                        RowPositionInTotalImagePixelMatrix=4 * (k % 4 // 2) + 1,
                        ColumnPositionInTotalImagePixelMatrix=4 * (k % 2) + 1,
                    ),
                    OpticalPathIdentificationSequence=one_item(OpticalPathIdentifier=names[k // 4]),
                )[0]
                for k in range(12)
            ]
        )
    group, report = collect([save(data, tmp_path / "slide")])
    stock = open_stock(group)
    assert np.array_equal(stock["image"][...], true)
    assert group["optical_path"].dimension_names == ("c",)
    assert stock["optical_path"][...].tolist() == ["DAPI", "", "Cy5"]
    wavelength = stock["illumination_wavelength"][...]
    assert np.array_equal(wavelength, [358, np.nan, 650], equal_nan=True)
    assert group["illumination_wavelength"].attributes["units"] == "nm"
    assert stock["illumination_type"][...].tolist() == ["DCM:111743"] * 3
    assert "illumination_color" not in group.members
    written = str([dict(array.attributes) for _, array in group.arrays()])
    assert "SENTINEL" not in written
    assert report.warnings == []
    plain, _ = collect([str(tmp_path / "slide")], metadata="none")
    assert "optical_path" not in plain.members


@pytest.mark.parametrize("damage", [None, "short", "other"])
def test_colour_profiles_are_told_of(tmp_path, damage):
    profile = bytearray(3144)
    profile[16:20], profile[36:40] = b"RGB ", b"acsp"
    raw = bytes(profile[:100]) if damage == "short" else bytes(profile)
    raw = raw.replace(b"acsp", b"xxxx") if damage == "other" else raw
    true = matrix(8, 8)
    data = slide_level(true, (4, 4))
    data.OpticalPathSequence = Sequence([path_item("1", ICCProfile=raw, ColorSpace="SRGB")])
    group, _ = collect([save(data, tmp_path / "slide")])
    attributes = group["image"].attributes
    told = None if damage else "RGB, 3144 bytes, not applied"
    assert attributes.get("icc_profile") == told
    assert attributes["color_space"] == "SRGB"
    assert attributes["optical_path"] == "1"
    assert np.array_equal(read(group), true)


def test_more_frames_than_tiles_are_refused(tmp_path):
    data = slide_level(matrix(8, 8), (4, 4))
    data.TotalPixelMatrixRows = 4
    path = save(data, tmp_path / "slide")
    _, report = DICOMScanner().collect([path], None, ScanOptions())
    assert [row.code for row in report.skipped] == ["damaged"]


NAMES = ("sm_image", "sm_image_control", "sm_image_dots", "sm_image_jpegls", "sm_image_grayscale")
HERE = [name for name in NAMES if (CORPUS / f"highdicom__{name}.dcm").exists()]


@pytest.mark.skipif(not HERE, reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HERE)
def test_real_slides_are_as_highdicom_and_wsidicom_read_them(name):
    path = CORPUS / f"highdicom__{name}.dcm"
    group, _ = collect([str(path)], **{"slide-axes": "native"})
    found = np.asarray(open_stock(group)["image"][...])
    image = highdicom.imread(path)
    true = image.get_total_pixel_matrix(
        dtype=found.dtype, apply_icc_profile=False, apply_real_world_transform=False
    )
    assert np.array_equal(found, np.asarray(true).reshape(found.shape))
    if found.ndim == 3:
        with wsidicom.WsiDicom.open([path]) as slide:
            size = slide.levels[0].size
            region = np.asarray(slide.read_region((0, 0), 0, (size.width, size.height)))
        assert np.array_equal(found, region)


SEGMENTATIONS = ("seg_image_sm_dots", "seg_image_sm_dots_tiled_full", "seg_image_sm_numbers")
MASKS = [name for name in SEGMENTATIONS if (CORPUS / f"highdicom__{name}.dcm").exists()]


@pytest.mark.skipif(not MASKS, reason="the corpus is not there; see REFMAKER_CORPUS")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MASKS)
def test_real_tiled_segmentations_are_as_highdicom_reads_them(name):
    path = CORPUS / f"highdicom__{name}.dcm"
    group, report = collect([str(path)])
    segmentation = highdicom.seg.segread(path)
    array = group["image"]
    found = np.asarray(open_stock(group)["image"][...])
    if array.dimension_names[0] == "frame":
        # 100 bits a frame: frames do not begin on bytes.
        assert any("share bytes" in warning for warning in report.warnings)
        assert np.array_equal(found, segmentation.pixel_array.reshape(found.shape))
        rows, columns = open_stock(group)["row"][...], open_stock(group)["column"][...]
        planes = open_stock(group)["plane"][...]
        matrices = {
            plane: segmentation.get_total_pixel_matrix(
                segment_numbers=[segmentation.segment_numbers[plane]]
            )[..., 0]
            for plane in set(planes.tolist())
        }
        for k, frame in enumerate(found):
            whole = matrices[int(planes[k])]
            y, x = rows[k], columns[k]
            assert np.array_equal(frame, whole[y : y + 10, x : x + 10])
        return
    for at, number in enumerate(segmentation.segment_numbers):
        true = segmentation.get_total_pixel_matrix(segment_numbers=[number])[..., 0]
        assert np.array_equal(found[at], true)
