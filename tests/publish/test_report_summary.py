"""What ``refmaker info`` says of images, volumes and fields."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.transform import from_origin

import refmaker
from refmaker.cli import main
from tests.scanners.dicom.image_files import CT, pixels, save_all, slice_of, with_pixels
from tests.scanners.grib.messages import joined, message


def rows(path):
    return refmaker.describe(refmaker.scan(path))["summary"]


def test_an_ome_pyramid(tmp_path):
    image = np.arange(2 * 64 * 96, dtype="u2").reshape(2, 64, 96)
    known = {"axes": "CYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    known |= {
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(image, subifds=1, tile=(32, 32), compression="zlib", metadata=known)
        file.write(image[:, ::2, ::2], subfiletype=1, tile=(32, 32), compression="zlib")
    (row,) = rows(tmp_path / "a.ome.tif")
    assert row["shape"] == "c: 2, y: 64, x: 96"
    assert row["levels"] == 2
    assert row["pixel"] == "0.25 micrometer x 0.25 micrometer"
    assert row["channels"] == "DAPI, GFP"
    assert row["codecs"] == "zlib"


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_a_geotiff(tmp_path):
    kind = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5e6, 10, 10)}
    with rasterio.open(tmp_path / "g.tif", "w", **kind, **place) as file:
        file.write(np.zeros((1, 30, 40), "uint8"))
    (row,) = rows(tmp_path / "g.tif")
    assert "UTM zone 33N" in row["crs"]


def test_a_tilted_series(tmp_path):
    slices = [
        with_pixels(slice_of((0, 0.5 * n, 3.0 * n), n, sop_class=CT), pixels(n)) for n in range(4)
    ]
    save_all(tmp_path, slices)
    (row,) = rows(tmp_path)
    assert row["shape"].startswith("z: 4, y: ")
    # From one slice to the next, half a millimetre aside and three up.
    assert row["spacing"].startswith("3.041 x ")
    assert "gantry tilt" in row["oddities"]


def test_fields(tmp_path, capsys):
    path = tmp_path / "f.grib2"
    path.write_bytes(joined(*(message(level=level) for level in (500, 850))))
    (row,) = rows(path)
    assert row["fields"] == 2
    with pytest.raises(SystemExit):
        main(["info", str(path)])
    out = capsys.readouterr().out
    assert row["name"] in out
    assert row["units"] in out


def test_a_folder_of_slices_is_shown(tmp_path, capsys):
    save_all(tmp_path, [with_pixels(slice_of((0, 0, 3.0 * n), n), pixels(n)) for n in range(3)])
    with pytest.raises(SystemExit) as end:
        main(["info", str(tmp_path)])
    assert not end.value.code
    assert "z: 3" in capsys.readouterr().out


def test_formats_without_a_table(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    assert rows(tmp_path / "a.h5") == []
