"""Small TIFF files with a meaning, and ways to look at what became of them."""

import numpy as np
import tifffile

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock

SIBLINGS = ("a.ome.tif", "b.ome.tif")


def noise(*shape, dtype=np.uint16, seed=0):
    """Return random values of a shape."""
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def scanned(path, **settings):
    """Return the reference set and report of a file."""
    return scan(str(path), options=ScanOptions(settings=settings))


def stock(path, **settings):
    """Return a file's reference set as fsspec and zarr open it."""
    return open_stock(scanned(path, **settings)[0])


def pixels(group):
    """Return the arrays of pixels by path."""
    return {path: array for path, array in group.arrays() if path.rpartition("/")[2] == "image"}


def write_pyramid(path, data, axes, *, levels=2, **metadata):
    """Write an OME-TIFF with its smaller levels in SubIFDs."""
    options = {"tile": (64, 64), "compression": "zlib"}
    if axes.endswith("S"):
        options["photometric"] = "rgb"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data, subifds=levels, metadata={"axes": axes, **metadata}, **options)
        for level in range(1, levels + 1):
            step = 2**level
            small = data[..., ::step, ::step, :] if axes[-1] == "S" else data[..., ::step, ::step]
            tif.write(small, subfiletype=1, **options)
    return path


def ome_xml(blocks, *, size=(2, 1, 1), shape=(24, 32), uuid="urn:uuid:a", order="XYZCT", more=""):
    """Return OME-XML of one uint16 image: `size` is Z, C, T; `blocks` are TiffData elements."""
    z, c, t = size
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
        f'<Image ID="Image:0" Name="made"><Pixels ID="Pixels:0" DimensionOrder="{order}" '
        f'Type="uint16" SizeX="{shape[1]}" SizeY="{shape[0]}" SizeZ="{z}" SizeC="{c}" '
        f'SizeT="{t}">'
        + "".join(f'<Channel ID="Channel:0:{at}" SamplesPerPixel="1"/>' for at in range(c))
        + "".join(blocks)
        + f"</Pixels></Image>{more}</OME>"
    )


def block(first_z, name, uuid, *, ifd=0, count=1, more=""):
    """Return a TiffData element that points into a file."""
    return (
        f'<TiffData FirstZ="{first_z}" FirstC="0" FirstT="0" IFD="{ifd}" PlaneCount="{count}"'
        f'{more}><UUID FileName="{name}">{uuid}</UUID></TiffData>'
    )


def write_pages(path, planes, description, **options):
    """Write pages, the first of which has a description."""
    with tifffile.TiffWriter(path) as tif:
        for at, plane in enumerate(planes):
            text = description if at == 0 else None
            tif.write(plane, description=text, metadata=None, contiguous=False, **options)
    return path


def write_multifile(folder, planes=4):
    """Write an image over two files, each with the whole OME-XML; return its planes."""
    data = noise(planes, 24, 32)
    half = planes // 2
    blocks = [
        block(0, SIBLINGS[0], "urn:uuid:a", count=half),
        block(half, SIBLINGS[1], "urn:uuid:b", count=half),
    ]
    for name, uuid, part in zip(SIBLINGS, "ab", (data[:half], data[half:]), strict=True):
        text = ome_xml(blocks, size=(planes, 1, 1), uuid=f"urn:uuid:{uuid}")
        write_pages(folder / name, part, text)
    return data
