"""An OME-TIFF pyramid, in place, in a viewer that runs in a browser."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import tifffile

import refmaker
from tests.browser import browser

WAIT = 120
"""Seconds until the picture has to be there; software rendering is slow."""


@pytest.fixture
def pyramid(tmp_path):
    """Write a pyramid that is brighter to the right and to the bottom."""
    image = (np.add.outer(np.arange(512), np.arange(512)) // 4).astype("u1")
    common = {"tile": (128, 128), "compression": "zlib"}
    known = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    known |= {"PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as file:
        file.write(image, subifds=2, metadata=known, **common)
        file.write(image[::2, ::2], subfiletype=1, **common)
        file.write(image[::4, ::4], subfiletype=1, **common)
    return refmaker.scan(tmp_path / "p.ome.tif")


def corners(running):
    """Return the mean brightness of the picture's four quarters, row by row."""
    from PIL import Image

    shot = np.asarray(Image.open(io.BytesIO(running.get_screenshot_as_png())).convert("L"))
    height, width = shot.shape
    centre = shot[height // 2 - 60 : height // 2 + 60, width // 2 - 60 : width // 2 + 60]
    return (
        centre[:60, :60].mean(),
        centre[:60, 60:].mean(),
        centre[60:, :60].mean(),
        centre[60:, 60:].mean(),
    )


def brighter_to_the_end(seen):
    dark, right, below, bright = seen
    return dark < min(right, below) and max(right, below) < bright


def test_neuroglancer_shows_it(pyramid):
    import neuroglancer

    with refmaker.serving(pyramid) as url:
        viewer = neuroglancer.Viewer()
        with viewer.txn() as state:
            state.layers["image"] = neuroglancer.ImageLayer(source=f"zarr://{url}")
            state.layout = "xy"
        rendering = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
        with browser(width=800, height=600, more=rendering) as running:
            running.get(str(viewer))
            until = time.monotonic() + WAIT
            seen = corners(running)
            # Of a picture that is drawn bit by bit, some quarters are there before others.
            while not brighter_to_the_end(seen) and time.monotonic() < until:
                time.sleep(0.5)
                seen = corners(running)
            state = viewer.state.to_json()
        neuroglancer.stop()
    assert brighter_to_the_end(seen), seen
    # Half a micrometre a pixel, as the file says.
    assert state["dimensions"] == {"y": [5e-07, "m"], "x": [5e-07, "m"]}
