"""Small files as microscopes and slide scanners write them: pages, and the tags that tell them."""

from __future__ import annotations

import struct

import numpy as np
import tifffile
from tifffile import TIFF

from tests.scanners.tiff.meaning_files import noise


def _write(path, planes, *, first=(), **options):
    with tifffile.TiffWriter(path) as tif:
        for at, plane in enumerate(planes):
            how = {"metadata": None, "contiguous": False} | options
            tif.write(plane, extratags=first if at == 0 else (), **how)


def _record(dtype, **values):
    record = np.zeros((), np.dtype(dtype))
    for name, value in values.items():
        record[name] = value
    return record.tobytes()


def lsm(path, *, channels=3, voxel=(0.0, 0.0, 0.0), interval=0.0):
    """Zeiss LSM: planes of t, z with channels stored separately, a thumbnail after each."""
    planes = noise(2 * 3, channels, 32, 24)
    header = _record(
        TIFF.CZ_LSMINFO, MagicNumber=67127628, StructureSize=np.dtype(TIFF.CZ_LSMINFO).itemsize,
        DimensionX=24, DimensionY=32, DimensionZ=3, DimensionChannels=channels, DimensionTime=2,
        ScanType=6, VoxelSizeX=voxel[0], VoxelSizeY=voxel[1], VoxelSizeZ=voxel[2],
        TimeIntervall=interval,
    )  # fmt: skip
    with tifffile.TiffWriter(path) as tif:
        for at, plane in enumerate(planes):
            tags = [(34412, 7, len(header), header, True)] if at == 0 else ()
            separate = {"planarconfig": "separate"} if channels > 1 else {}
            tif.write(
                plane if channels > 1 else plane[0], metadata=None, contiguous=False,
                photometric="minisblack", extratags=tags, **separate,
            )  # fmt: skip
            tif.write(plane[0, ::4, ::4], metadata=None, contiguous=False, subfiletype=1)


def stk(path, *, step=1):
    """MetaMorph: one directory, the other planes right behind its data."""
    planes = noise(5, 32, 24)
    rows = [[step, 1, 2450000, 10 * at, 0, 0] for at in range(5)]
    second = np.array(rows, "<u4").tobytes()
    tags = [(33628, 4, 2, (6, 0), True), (33629, 5, 15, second, True)]
    tifffile.imwrite(path, planes[0], metadata=None, extratags=tags, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        place = tif.pages.first.tags[33629].offset
    with open(path, "r+b") as file:
        # It counts planes, each of which has three values of that type.
        file.seek(place + 4)
        file.write(struct.pack("<I", 5))
        file.seek(0, 2)
        file.write(planes[1:].tobytes())


def fluoview(path):
    """Olympus FluoView: x, y, z and channels, as its header lists them."""
    header = np.zeros((), np.dtype(TIFF.MM_HEADER))
    header["ImageName"] = b"made"
    header["Dimensions"]["Size"] = 1
    listed = [(b"X", 24), (b"Y", 32), (b"Z", 3), (b"Ch", 2)]
    for at, (name, size) in enumerate(listed):
        header["Dimensions"][at]["Name"] = name
        header["Dimensions"][at]["Size"] = size
    data = header.tobytes()
    tags = [
        (34361, 7, len(data), data, True), (34362, 12, 8, np.zeros(8).tobytes(), True),
    ]  # fmt: skip
    _write(path, noise(6, 32, 24), first=tags, photometric="minisblack")


def nih(path):
    """NIH Image: a stack of equal pages."""
    data = _record(np.dtype(TIFF.NIH_IMAGE_HEADER).newbyteorder(">"), FileID=b"IPICIMAG", nSlices=4)
    tags = [(43314, 7, len(data), data, True)]
    with tifffile.TiffWriter(path, byteorder=">") as tif:
        for at, plane in enumerate(noise(4, 32, 24, dtype=np.uint8)):
            tif.write(
                plane, metadata=None, contiguous=False, photometric="minisblack",
                extratags=tags if at == 0 else (),
            )  # fmt: skip


def ndpi(path):
    """Hamamatsu NDPI: levels, and a macro image."""
    base = noise(128, 96, 3, dtype=np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for plane, lens in ((base, 20.0), (base[::2, ::2], 10.0), (base[:40, :30], -1.0)):
            tags = [
                (65420, 4, 1, 1, True), (65421, 11, 1, lens, True), (271, 2, 10, "Hamamatsu", True),
            ]  # fmt: skip
            tif.write(
                plane, metadata=None, contiguous=False, photometric="rgb", tile=(16, 16),
                extratags=tags,
            )  # fmt: skip


def qpi(path):
    """PerkinElmer QPI: channels, a thumbnail, channels of a smaller level."""
    base = noise(3, 64, 48)
    small = base[:, ::2, ::2]
    thumb = noise(20, 24, 3, dtype=np.uint8)
    with tifffile.TiffWriter(path) as tif:
        how = {"metadata": None, "contiguous": False, "software": "PerkinElmer-QPI"}
        for plane in base:
            tif.write(plane, tile=(16, 16), photometric="minisblack", **how)
        tif.write(thumb, photometric="rgb", **how)
        for plane in small:
            tif.write(plane, tile=(16, 16), photometric="minisblack", **how)


def avs(path):
    """Argos AVS: levels, map and macro."""
    base = noise(128, 96, 3, dtype=np.uint8)
    text = b"<Argos.Scan.Metadata></Argos.Scan.Metadata>\0"
    with tifffile.TiffWriter(path) as tif:
        for at, plane in enumerate((base, base[::2, ::2], base[:40, :30], base[:20, :50])):
            tags = [(65000, 2, len(text), text, True)] if at == 0 else ()
            tif.write(
                plane, metadata=None, contiguous=False, photometric="rgb", tile=(16, 16),
                subfiletype=int(at == 1), extratags=tags,
            )  # fmt: skip


def scn(path):
    """Leica SCN: two images, each of two levels, the second of two channels."""
    pages = [noise(64, 48), noise(32, 24), *noise(2, 80, 64), *noise(2, 40, 32)]
    text = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        '<collection name="all" sizeX="9" sizeY="9">'
        '<image name="one"><pixels sizeX="48" sizeY="64">'
        '<dimension sizeX="48" sizeY="64" r="0" ifd="0"/>'
        '<dimension sizeX="24" sizeY="32" r="1" ifd="1"/></pixels></image>'
        '<image name="two"><pixels sizeX="64" sizeY="80">'
        '<dimension r="0" c="0" ifd="2"/><dimension r="0" c="1" ifd="3"/>'
        '<dimension r="1" c="0" ifd="4"/><dimension r="1" c="1" ifd="5"/></pixels></image>'
        "</collection></scn>"
    )
    with tifffile.TiffWriter(path) as tif:
        for at, plane in enumerate(pages):
            tif.write(
                plane, metadata=None, contiguous=False, photometric="minisblack", tile=(16, 16),
                description=text if at == 0 else None,
            )  # fmt: skip


def sis(path):
    """Olympus SIS: planes, of which its tag says nothing."""
    header = b"SIS0" + bytes(56)
    tags = [(33560, 7, len(header), header, True)]
    _write(path, noise(4, 32, 24), first=tags, photometric="minisblack")


def mdgel(path):
    """MD Gel: square roots of the values that are meant."""
    tags = [
        (33445, 4, 1, 2, True), (33446, 5, 1, (1, 10), True), (33452, 2, 4, b"OD\0\0", True),
    ]  # fmt: skip
    _write(path, noise(1, 32, 24), first=tags, photometric="minisblack")


def lsm_plain(path):
    """Zeiss LSM of one channel."""
    lsm(path, channels=1)


def stk_times(path):
    """MetaMorph with times instead of distances."""
    stk(path, step=0)


FILES = {
    made.__name__: made
    for made in (lsm, lsm_plain, stk, stk_times, fluoview, nih, ndpi, qpi, avs, scn, sis)
}
