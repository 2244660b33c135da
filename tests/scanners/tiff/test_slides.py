import numpy as np
import tifffile

from tests.scanners.tiff.meaning_files import noise, pixels, scanned, stock

TILES = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
PLAIN = {"photometric": "rgb", "metadata": None}
APERIO = "Aperio Image Library v1\n512x256 (64x64)|AppMag = 20|MPP = 0.4990|Date = 01/01/20"


def spacing(values):
    """Return Philips metadata with a spacing for each level."""
    items = "".join(
        '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING">'
        f'"{value}" "{value}"</Attribute></DataObject>'
        for value in values
    )
    return (
        '<?xml version="1.0" ?><DataObject ObjectType="DPUfsImport"><Attribute><Array>'
        f"{items}</Array></Attribute></DataObject>"
    )


def first(data):
    """Return samples first."""
    return np.moveaxis(data, -1, 0)


def test_aperio_levels_and_associated_images(tmp_path):
    data, label, macro = (
        noise(*shape, 3, dtype=np.uint8) for shape in ((512, 256), (30, 20), (9, 8))
    )
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as tif:
        tif.write(data, description=APERIO, **TILES)
        tif.write(data[::8, ::8], **PLAIN)
        tif.write(data[::4, ::4], **TILES)
        tif.write(label, subfiletype=1, **PLAIN)
        tif.write(macro, subfiletype=9, **PLAIN)
    z = stock(path)
    assert np.array_equal(z["0/image"][...], first(data))
    assert np.array_equal(z["1/image"][...], first(data[::4, ::4]))
    assert np.array_equal(z["associated/thumbnail/image"][...], data[::8, ::8])
    assert np.array_equal(z["associated/label/image"][...], label)
    assert np.array_equal(z["associated/macro/image"][...], macro)
    assert z["0/image"].attrs["aperio"]["AppMag"] == "20"
    assert z["0/x"].attrs["units"] == "micrometer"
    assert np.allclose(z["1/x"][...][1], 4 * 0.499)
    with tifffile.TiffFile(path) as tif:
        want = [level.shape for series in tif.series for level in series.levels]
    found = [tuple(sorted(array.shape)) for array in pixels(scanned(path)[0]).values()]
    assert sorted(found) == sorted(tuple(sorted(shape)) for shape in want)


def test_aperio_focal_planes(tmp_path):
    data = noise(2, 256, 128, 3, dtype=np.uint8)
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as tif:
        tif.write(data[0], description=APERIO, **TILES)
        tif.write(data[0, ::8, ::8], **PLAIN)
        tif.write(data[1], **TILES)
        for plane in data:
            tif.write(plane[::2, ::2], **TILES)
    z = stock(path)
    assert z["0/image"].attrs["_ARRAY_DIMENSIONS"] == list("czyx")
    assert np.array_equal(z["0/image"][...], np.moveaxis(data, -1, 0))
    assert np.array_equal(z["1/image"][...], np.moveaxis(data[:, ::2, ::2], -1, 0))


def test_philips_levels_are_cut_to_their_true_size(tmp_path):
    data = noise(320, 200, 3, dtype=np.uint8)
    small = np.zeros((192, 128, 3), np.uint8)
    small[:160, :100] = data[::2, ::2]
    label = noise(16, 12, 3, dtype=np.uint8)
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path) as tif:
        text = spacing([0.00025, 0.0005])
        tif.write(data, description=text, software="Philips DP v1.0", **TILES)
        tif.write(small, **TILES)
        tif.write(label, description="Label", **PLAIN)
    group, report = scanned(path)
    assert not report.skipped
    z = stock(path)
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].kind == "philips"
        want = [level.asarray() for level in tif.series[0].levels]
    assert np.array_equal(z["0/image"][...], first(want[0]))
    assert z["1/image"].shape == (3, 160, 100)
    assert np.array_equal(z["1/image"][...], first(want[1]))
    assert np.array_equal(z["associated/label/image"][...], label)
    assert z["0/x"][...][1] == 0.25
    assert group["1/image"].chunks.size == 3 * 2


def test_philips_metadata_that_does_not_fit_is_told(tmp_path):
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            noise(64, 64, 3, dtype=np.uint8), description=spacing([0.1, 0.2]),
            software="Philips DP v1.0", **TILES,
        )  # fmt: skip
    group, report = scanned(path)
    assert list(pixels(group)) == ["image"]
    assert any("Philips" in warning for warning in report.warnings)
