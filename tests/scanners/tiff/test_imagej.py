import struct

import numpy as np
import pytest
import tifffile

from refmaker.io.source import Source
from refmaker.scanners.tiff import TIFFScanner
from refmaker.scanners.tiff.imagej import extra_metadata
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.tiff.meaning_files import noise, pixels, scanned, stock


def write(path, data, **metadata):
    """Write a hyperstack of TZCYX."""
    metadata = {"axes": "TZCYX", **metadata}
    tifffile.imwrite(path, data, imagej=True, resolution=(4, 2), metadata=metadata)
    return path


def test_hyperstack_comes_in_ngff_order(tmp_path):
    data = noise(3, 4, 2, 32, 24)
    lut = np.zeros((3, 256), np.uint8)
    lut[1] = np.arange(256)
    path = write(
        tmp_path / "a.tif", data, unit="um", spacing=2.0, finterval=0.5, LUTs=[lut, lut[::-1]],
        Ranges=(0.0, 100.0, 5.0, 150.0), Labels=[f"slice {at}" for at in range(24)],
    )  # fmt: skip
    z = stock(path)
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == list("tczyx")
    assert np.array_equal(z["image"][...], data.swapaxes(1, 2))
    assert z["t"][...].tolist() == [0.0, 0.5, 1.0]
    assert z["z"][...].tolist() == [0.0, 2.0, 4.0, 6.0]
    assert z["x"][...][1] == 0.25
    assert z["y"][...][1] == 0.5
    assert z["x"].attrs["units"] == "micrometer"
    first, second = z.attrs["omero"]["channels"]
    assert (first["color"], first["window"]["start"], first["window"]["end"]) == ("00FF00", 0, 100)
    assert (second["color"], second["window"]["end"]) == ("00FF00", 150)
    assert z["image"].attrs["imagej"]["labels"][23] == "slice 23"


def test_labels_of_one_axis_are_its_coordinate(tmp_path):
    data = noise(1, 4, 1, 16, 16)
    z = stock(write(tmp_path / "a.tif", data, Labels=list("abcd")))
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == list("zyx")
    assert z["z"][...].tolist() == list("abcd")


def test_rgb_samples_are_channels(tmp_path):
    data = noise(3, 32, 24, 3, dtype=np.uint8)
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYXS"})
    z = stock(path)
    found = z["image"]
    order = [found.attrs["_ARRAY_DIMENSIONS"].index(name) for name in ("z", "y", "x")]
    rest = next(at for at in range(4) if at not in order)
    assert np.array_equal(np.transpose(found[...], [*order, rest]), data)


def big_stack(path, planes, *, size=64 * 1024**2):
    """Write a sparse file as ImageJ writes stacks above 4 GB; return a mark at its last pixel."""
    rows, columns = 8192, size // 8192
    text = f"ImageJ=1.53t\nimages={planes}\nslices={planes}\nloop=false\n".encode() + b"\0"
    entries = [
        (256, 4, 1, columns), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (270, 2, len(text), 512), (273, 4, 1, 4096), (277, 3, 1, 1), (278, 4, 1, rows),
        (279, 4, 1, size),
    ]  # fmt: skip
    with path.open("wb") as file:
        file.write(b"MM\0*" + struct.pack(">I", 8))
        file.write(struct.pack(">H", len(entries)))
        for code, kind, count, value in entries:
            word = struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
            file.write(struct.pack(">HHI", code, kind, count) + word)
        file.write(struct.pack(">I", 0))
        file.seek(512)
        file.write(text)
        file.seek(4096 + planes * size - 3)
        file.write(b"\x07\x08\x09")
    return path


def test_stack_beyond_4_gb_has_one_directory(tmp_path):
    path = big_stack(tmp_path / "big.tif", 80)
    assert path.stat().st_size > 5 * 1024**3
    group, _ = scanned(path)
    (array,) = pixels(group).values()
    assert array.shape == (80, 8192, 8192)
    assert array.dimension_names == ("z", "y", "x")
    assert open_stock(group)["image"][79, 8191, -3:].tolist() == [7, 8, 9]
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].shape == array.shape


def test_fewer_planes_than_said_leave_the_pages(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(16, 16), description="ImageJ=1.0\nimages=9\nslices=9\n",
                     metadata=None)  # fmt: skip
    group, _ = scanned(path)
    assert group["image"].shape == (16, 16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_extra_metadata_is_read_in_both_byte_orders(tmp_path, byteorder):
    data = noise(1, 2, 1, 16, 16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, data, imagej=True, byteorder=byteorder,
        metadata={"axes": "TZCYX", "Info": "told", "Labels": ["µ", "ä"]},
    )  # fmt: skip
    z = stock(path)
    assert z["image"].attrs["imagej"]["info"] == "told"
    assert z["z"][...].tolist() == ["µ", "ä"]
    assert np.array_equal(z["image"][...], data[0, :, 0])


@pytest.mark.parametrize("cut", [0, 3, 11, 12, 19, 40])
def test_damaged_extra_metadata_is_passed_over(cut):
    raw = b"IJIJ" + b"labl"[::-1] + struct.pack("<I", 2**31) + bytes(30)
    assert "luts" not in extra_metadata(raw[:cut], np.array([12, 2**31 - 1, -5]), "<")


def test_scanning_a_big_stack_reads_little(tmp_path):
    path = big_stack(tmp_path / "big.tif", 70)
    with Source(path) as source:
        TIFFScanner().scan(source, ScanOptions())
        assert source.bytes_read < 2**17


@pytest.mark.parametrize("axes", ["TZCYX", "ZCYX", "TCYX", "CZYX"])
def test_stacks_of_one_directory_are_reordered_plane_by_plane(tmp_path, axes):
    data = noise(*(range(2, 2 + len(axes) - 2)), 32, 24)
    path = tmp_path / "a.tif"
    order = [axis for axis in "TZCYX" if axis in axes]
    data = data if axes != "CZYX" else data.swapaxes(0, 1)
    tifffile.imwrite(path, data, imagej=True, truncate=True, metadata={"axes": "".join(order)})
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    group, _ = scanned(path)
    names = group["image"].dimension_names
    assert names == tuple(name for name in "tczyx" if name.upper() in axes)
    want = np.transpose(data, [order.index(name.upper()) for name in names])
    assert np.array_equal(open_stock(group)["image"][...], want)
    with Source(path) as source, TIFFScanner().native(source) as native:
        everything = tuple(slice(0, extent) for extent in want.shape)
        assert np.array_equal(native.read("image", group["image"], everything), want)
