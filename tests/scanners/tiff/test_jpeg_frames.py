"""JPEG whose frame says something else than the tags: right, or refused while scanning."""

import imagecodecs
import numpy as np
import pytest

from refmaker.scanning.one_file import scan
from refmaker.testing import open_stock
from tests.scanners.tiff.test_segments import refused, strips_tiff

RNG = np.random.default_rng(5)
GREY, RGB, YCBCR = 1, 2, 6


def write(path, data, *, bits=8, samples=1, photometric=GREY, shape=None, **options):
    """Write a TIFF file of one strip of JPEG."""
    part = bytes(imagecodecs.jpeg8_encode(data, **options))
    shape = data.shape[:2] if shape is None else shape
    tags = {259: 7, 277: samples, 262: photometric}
    strips_tiff(path, [part], shape, shape[0], tags, bits=bits)


def pixels(*shape, top=255):
    return RNG.integers(0, top, shape).astype("u1" if top < 256 else "u2")


@pytest.mark.parametrize("photometric", [GREY, RGB])
def test_lossless_rgb_is_read_as_it_is(photometric, tmp_path):
    data = pixels(16, 24, 3)
    write(tmp_path / "a.tif", data, samples=3, photometric=photometric, lossless=True)
    group, report = scan(str(tmp_path / "a.tif"))
    assert not report.skipped
    assert np.array_equal(open_stock(group)["image"][...], data)


@pytest.mark.parametrize("top", [255, 4095])
def test_lossless_grey(top, tmp_path):
    data = pixels(16, 24, top=top)
    bits = 8 if top < 256 else 12
    write(tmp_path / "a.tif", data, bits=bits, lossless=True, bitspersample=bits)
    group, _ = scan(str(tmp_path / "a.tif"))
    assert np.array_equal(open_stock(group)["image"][...], data)


@pytest.mark.parametrize(
    ("shape", "samples", "photometric"),
    [((16, 24), 3, RGB), ((16, 24, 3), 1, GREY), ((16, 24, 4), 3, RGB), ((16, 24), 3, YCBCR)],
)
def test_components_are_those_of_the_tags_or_refused(shape, samples, photometric, tmp_path):
    write(tmp_path / "a.tif", pixels(*shape), samples=samples, photometric=photometric, level=90)
    row = refused(tmp_path / "a.tif")
    assert row.code == "jpeg-components"
    assert "SamplesPerPixel" in row.reason


def test_precision_is_that_of_the_tags_or_refused(tmp_path):
    write(tmp_path / "a.tif", pixels(16, 24, top=4095), bits=8, level=90, bitspersample=12)
    assert refused(tmp_path / "a.tif").code == "jpeg-precision"
    write(tmp_path / "b.tif", pixels(16, 24), bits=16, level=90)
    assert refused(tmp_path / "b.tif").code == "jpeg-precision"


@pytest.mark.parametrize("shape", [(16, 32), (12, 24), (16, 20)])
def test_sizes_are_those_of_segments_or_refused(shape, tmp_path):
    write(tmp_path / "a.tif", pixels(16, 24), shape=shape, level=90)
    assert refused(tmp_path / "a.tif").code == "jpeg-size"


@pytest.mark.parametrize("process", [0xC5, 0xC7, 0xCB])
def test_processes_that_no_decoder_knows_are_refused(process, tmp_path):
    part = bytes(imagecodecs.jpeg8_encode(pixels(16, 24), level=90))
    at = part.index(b"\xff\xc0")
    part = part[: at + 1] + bytes([process]) + part[at + 2 :]
    strips_tiff(tmp_path / "a.tif", [part], (16, 24), 16, {259: 7})
    assert refused(tmp_path / "a.tif").code == "jpeg-process"


def test_a_stream_that_breaks_off_is_refused(tmp_path):
    part = bytes(imagecodecs.jpeg8_encode(pixels(16, 24), level=90))
    strips_tiff(tmp_path / "a.tif", [part[:30]], (16, 24), 16, {259: 7})
    assert refused(tmp_path / "a.tif").code == "undecodable"
