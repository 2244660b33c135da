import shutil

import numpy as np
import pytest
import tifffile

from refmaker.errors import SourceNotFoundError, UnsupportedError
from refmaker.model.report import Outcome
from refmaker.scanners.tiff.ome_xml import read_document
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.tiff.meaning_files import (
    SIBLINGS,
    block,
    noise,
    ome_xml,
    pixels,
    scanned,
    stock,
    write_multifile,
    write_pages,
    write_pyramid,
)


def test_pyramid_has_all_levels_in_ngff_order(tmp_path):
    data = noise(2, 3, 200, 180)
    path = write_pyramid(
        tmp_path / "a.ome.tif", data, "ZCYX", PhysicalSizeX=0.5, PhysicalSizeY=0.25,
        PhysicalSizeZ=2.0, Channel={"Name": ["DAPI", "GFP", "RFP"]},
    )  # fmt: skip
    group, report = scanned(path)
    z = open_stock(group)
    for level in range(3):
        step = 2**level
        array = z[f"{level}/image"]
        assert np.array_equal(array[...], data[..., ::step, ::step].swapaxes(0, 1))
        assert array.attrs["_ARRAY_DIMENSIONS"] == ["c", "z", "y", "x"]
        assert array.dtype == np.uint16
        assert list(z[f"{level}/c"][...]) == ["DAPI", "GFP", "RFP"]
        factor = data.shape[-1] / array.shape[-1]
        assert np.allclose(z[f"{level}/x"][...], np.arange(array.shape[-1]) * 0.5 * factor)
        assert z[f"{level}/x"].attrs["units"] == "micrometer"
    assert z["0/z"][...].tolist() == [0.0, 2.0]
    assert not report.skipped
    with tifffile.TiffFile(path) as tif:
        want = [level.shape for level in tif.series[0].levels]
    assert [np.array(array.shape)[[1, 0, 2, 3]].tolist() for array in pixels(group).values()] == [
        list(shape) for shape in want
    ]


@pytest.mark.parametrize("layout", ["auto", "native"])
def test_layout_native_keeps_the_order_of_the_file(tmp_path, layout):
    data = noise(2, 3, 64, 64)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, data, metadata={"axes": "ZCYX"})
    z = stock(path, **{"tiff-axes": layout})
    assert np.array_equal(z["image"][...], data if layout == "native" else data.swapaxes(0, 1))
    assert ("multiscales" in z.attrs) == (layout == "auto")


def test_rgb_samples_are_channels(tmp_path):
    data = noise(2, 64, 96, 3, dtype=np.uint8)
    path = write_pyramid(tmp_path / "rgb.ome.tif", data, "ZYXS", levels=1)
    z = stock(path)
    assert np.array_equal(z["0/image"][...], np.moveaxis(data, -1, 0))
    assert np.array_equal(z["1/image"][...], np.moveaxis(data[:, ::2, ::2], -1, 0))
    assert [one["color"] for one in z.attrs["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]


def test_images_of_a_file_are_numbered(tmp_path):
    first, second = noise(3, 40, 40), noise(2, 30, 20, seed=1)
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(first, metadata={"axes": "CYX", "Name": "one"})
        tif.write(second, metadata={"axes": "ZYX", "Name": "two"})
    z = stock(path)
    assert z.attrs["bioformats2raw.layout"] == 3
    assert z["OME"].attrs["series"] == ["0", "1"]
    assert z["OME"].attrs["ome_xml"].rstrip().endswith("OME>")
    assert np.array_equal(z["0/image"][...], first)
    assert np.array_equal(z["1/image"][...], second)
    assert z["1"].attrs["multiscales"][0]["name"] == "two"


@pytest.mark.parametrize("name", SIBLINGS)
def test_each_file_of_a_series_gives_the_whole_image(tmp_path, name):
    data = write_multifile(tmp_path)
    group, report = scanned(tmp_path / name)
    assert np.array_equal(open_stock(group)["image"][...], data)
    assert {url.rpartition("/")[2] for url in report.sources} == set(SIBLINGS)
    assert len(group["image"].chunks.urls) == 2


def test_a_missing_sibling_is_an_error_that_names_it(tmp_path):
    write_multifile(tmp_path)
    (tmp_path / SIBLINGS[1]).unlink()
    with pytest.raises(SourceNotFoundError, match=r"b\.ome\.tif.*'missing-files': 'fill'"):
        scanned(tmp_path / SIBLINGS[0])


def test_a_missing_sibling_can_be_filled(tmp_path):
    data = write_multifile(tmp_path)
    (tmp_path / SIBLINGS[1]).unlink()
    group, report = scanned(tmp_path / SIBLINGS[0], **{"missing-files": "fill"})
    assert group["image"].chunks.absent == 2
    found = open_stock(group)["image"][...]
    assert np.array_equal(found[:2], data[:2])
    assert not found[2:].any()
    assert any("b.ome.tif" in warning for warning in report.warnings)


@pytest.mark.parametrize("name", ["../b.ome.tif", "sub/../../b.ome.tif", "file:///etc/passwd"])
def test_siblings_elsewhere_are_not_followed_unasked(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    data = noise(2, 24, 32)
    blocks = [block(0, "a.ome.tif", "urn:uuid:a"), block(1, name, "urn:uuid:b")]
    write_pages(folder / "a.ome.tif", data[:1], ome_xml(blocks))
    write_pages(tmp_path / "b.ome.tif", data[1:], ome_xml(blocks, uuid="urn:uuid:b"))
    with pytest.raises(UnsupportedError, match="follow_external=True"):
        scanned(folder / "a.ome.tif")
    if name == "../b.ome.tif":
        group, _ = scan(str(folder / "a.ome.tif"), options=ScanOptions(follow_external=True))
        assert np.array_equal(open_stock(group)["image"][...], data)


def test_siblings_are_found_beside_a_file_in_memory(tmp_path):
    import fsspec

    data = write_multifile(tmp_path)
    memory = fsspec.filesystem("memory")
    for name in SIBLINGS:
        memory.pipe(f"/series/{name}", (tmp_path / name).read_bytes())
    group, _ = scan(f"memory://series/{SIBLINGS[0]}")
    assert np.array_equal(open_stock(group)["image"][...], data)


def test_pixels_only_files_follow_their_companion(tmp_path):
    data = write_multifile(tmp_path)
    with tifffile.TiffFile(tmp_path / SIBLINGS[0]) as tif:
        text = tif.pages[0].description
    (tmp_path / "all.companion.ome").write_text(text)
    only = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:b">'
        '<BinaryOnly MetadataFile="all.companion.ome" UUID="urn:uuid:b"/></OME>'
    )
    write_pages(tmp_path / SIBLINGS[1], data[2:], only)
    assert np.array_equal(stock(tmp_path / SIBLINGS[1])["image"][...], data)
    (tmp_path / "all.companion.ome").unlink()
    with pytest.raises(SourceNotFoundError, match=r"all\.companion\.ome"):
        scanned(tmp_path / SIBLINGS[1])


def test_a_renamed_file_is_its_own(tmp_path):
    data = noise(2, 24, 32)
    text = ome_xml([block(0, "old.ome.tif", "urn:uuid:x", count=2)], uuid="urn:uuid:other")
    group, report = scanned(write_pages(tmp_path / "new.ome.tif", data, text))
    assert np.array_equal(open_stock(group)["image"][...], data)
    assert any("old.ome.tif" in warning for warning in report.warnings)


@pytest.mark.parametrize("order", ["XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"])
def test_planes_are_placed_as_tifffile_places_them(tmp_path, order):
    data = noise(12, 24, 32)
    text = ome_xml(["<TiffData/>"], size=(2, 3, 2), order=order)
    path = write_pages(tmp_path / "a.ome.tif", data, text)
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        want = np.transpose(series.asarray(), [series.axes.index(axis) for axis in "TCZYX"])
    z = stock(path)
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == list("tczyx")
    assert np.array_equal(z["image"][...], want)


def test_planes_that_were_never_written_are_absent_and_told(tmp_path):
    data = noise(3, 24, 32)
    text = ome_xml(["<TiffData/>"], size=(5, 1, 1))
    group, report = scanned(write_pages(tmp_path / "a.ome.tif", data, text))
    assert group["image"].shape == (5, 24, 32)
    assert group["image"].chunks.absent == 2
    assert any("2 of 5 planes" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    "text",
    [
        ome_xml(["<TiffData/>"], shape=(100, 100)),
        ome_xml(["<TiffData/>"], order="XYZC"),
        ome_xml(["<TiffData/>"])[:-20] + "OME>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + ome_xml(["<TiffData/>"]),
    ],
    ids=["size", "order", "not well-formed", "entities"],
)
def test_a_description_that_does_not_fit_leaves_the_pages(tmp_path, text):
    data = noise(2, 24, 32)
    group, report = scanned(write_pages(tmp_path / "a.ome.tif", data, text))
    (array,) = pixels(group).values()
    assert array.dimension_names == ("page", "y", "x")
    assert np.array_equal(open_stock(group)["image"][...], data)
    assert report.warnings


def test_blocks_out_of_bounds_are_told(tmp_path):
    data = noise(2, 24, 32)
    bad = '<TiffData FirstZ="9" IFD="0"/><TiffData FirstZ="0" IFD="77"/><TiffData IFD="x"/>'
    text = ome_xml(['<TiffData FirstZ="1" IFD="1"/>', bad])
    group, report = scanned(write_pages(tmp_path / "a.ome.tif", data, text))
    z = open_stock(group)
    assert np.array_equal(z["0/image"][...][1], data[1])
    assert np.array_equal(z["associated/other/image"][...], data[0])
    assert any("lie outside" in warning for warning in report.warnings)


def test_values_of_planes_become_coordinates(tmp_path):
    data = noise(2, 3, 24, 32)
    planes = {
        "DeltaT": [0.0, 0.1, 0.2, 1.0, 1.1, 1.2], "PositionX": [float(at) for at in range(6)],
        "PositionXUnit": ["µm"] * 6,
    }  # fmt: skip
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, data, metadata={"axes": "TZYX", "Plane": planes})
    z = stock(path)
    assert z["delta_t"][...].tolist() == [[0.0, 0.1, 0.2], [1.0, 1.1, 1.2]]
    assert z["delta_t"].attrs["units"] == "second"
    assert z["position_x"].attrs["units"] == "micrometer"
    assert z["image"].attrs["coordinates"] == "delta_t position_x"


def test_modulo_splits_an_axis():
    note = (
        '<StructuredAnnotations><XMLAnnotation ID="A:0" '
        'Namespace="openmicroscopy.org/omero/dimension/modulo"><Value><Modulo>'
        '<ModuloAlongT Type="lifetime" Start="0" Step="2" End="6" Unit="ns"/>'
        "</Modulo></Value></XMLAnnotation></StructuredAnnotations>"
    )
    text = ome_xml(["<TiffData/>"], size=(1, 1, 8), more=note)
    text = text.replace("</Pixels>", '</Pixels><AnnotationRef ID="A:0"/>')
    (image,) = read_document(text).images
    assert [(axis.name, axis.size) for axis in image.axes] == [
        ("t", 2), ("lifetime", 4), ("c", 1), ("z", 1),
    ]  # fmt: skip


def test_other_pages_of_the_file_are_kept(tmp_path):
    data, label = noise(2, 24, 32), noise(10, 12, seed=3)
    path = write_pages(
        tmp_path / "a.ome.tif", [*data, label], ome_xml(['<TiffData IFD="0" PlaneCount="2"/>'])
    )
    z = stock(path)
    assert np.array_equal(z["0/image"][...], data)
    assert np.array_equal(z["associated/other/image"][...], label)


def test_every_array_has_a_row(tmp_path):
    path = write_pyramid(tmp_path / "a.ome.tif", noise(2, 64, 64), "CYX")
    group, report = scanned(path)
    kept = {row.path.strip("/") for row in report.having(Outcome.REFERENCED, Outcome.INLINED)}
    assert kept == {name for name, _ in group.arrays()}


def test_copies_in_other_folders_give_the_same_layout(tmp_path):
    write_multifile(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    for name in SIBLINGS:
        shutil.copy(tmp_path / name, other / name)
    first, second = (scanned(folder / SIBLINGS[0])[0]["image"] for folder in (tmp_path, other))
    assert (first.shape, first.chunk_shape) == (second.shape, second.chunk_shape)
    assert np.array_equal(first.chunks.offset, second.chunks.offset)
