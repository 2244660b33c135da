"""What verify compares with: pages are placed by tifffile, not by the scanner."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from refmaker.errors import UnsupportedError
from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.scanners.tiff import TIFFScanner
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from refmaker.verification.verify import verify
from tests.scanners.tiff.meaning_files import (
    SIBLINGS,
    block,
    noise,
    ome_xml,
    scanned,
    write_multifile,
    write_pages,
)

NAMES = ("m.ome.tif", "n.ome.tif", "o.ome.tif")


def write_set(folder, *, named_by_master=True):
    """Write an OME set whose first file has the description; return its planes."""
    data = noise(3, 24, 32)
    uuids = [f"urn:uuid:{name[0]}" for name in NAMES]
    blocks = [block(z, name, uuid) for z, (name, uuid) in enumerate(zip(NAMES, uuids, strict=True))]
    if not named_by_master:
        # Of a plane of its own a file need not say where it is.
        blocks[0] = '<TiffData FirstZ="0" FirstC="0" FirstT="0" IFD="0" PlaneCount="1"/>'
    write_pages(folder / NAMES[0], data[:1], ome_xml(blocks, size=(3, 1, 1), uuid=uuids[0]))
    for at in (1, 2):
        only = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuids[at]}">'
            f'<BinaryOnly MetadataFile="{NAMES[0]}" UUID="{uuids[0]}"/></OME>'
        )
        write_pages(folder / NAMES[at], data[at : at + 1], only)
    return data


def verified(group, report):
    return verify(ReferenceSet(group, report), sample=None, isolate="never")


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_any_file_of_a_set_with_a_master_gives_the_same(name, named, tmp_path):
    data = write_set(tmp_path, named_by_master=named)
    group, report = scanned(tmp_path / name)
    assert np.array_equal(open_stock(group)["image"][...], data)
    assert all(check.ok and check.compared for check in verified(group, report))
    assert len(report.sources) == 3


@pytest.mark.parametrize("named", [True, False])
def test_a_companion_file_can_be_scanned(named, tmp_path):
    data = noise(2, 24, 32)
    blocks = [block(0, "p.tif", "urn:uuid:p"), block(1, "q.tif", "urn:uuid:q")]
    text = ome_xml(blocks, uuid="urn:uuid:all")
    name = "a.companion.ome" if named else "described.xml"
    (tmp_path / name).write_text(text)
    for at, one in enumerate("pq"):
        only = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{one}">'
            f'<BinaryOnly MetadataFile="{name}" UUID="urn:uuid:all"/></OME>'
        )
        write_pages(tmp_path / f"{one}.tif", data[at : at + 1], only)
    for scanned_name in (name, "p.tif", "q.tif"):
        group, report = scanned(tmp_path / scanned_name)
        assert np.array_equal(open_stock(group)["image"][...], data)
        assert all(check.ok and check.compared for check in verified(group, report))


@pytest.mark.parametrize("kind", ["ome", "shaped", "multifile"])
def test_planes_in_each_others_place_are_found(kind, tmp_path):
    path = tmp_path / "a.tif"
    if kind == "multifile":
        write_multifile(tmp_path)
        path = tmp_path / SIBLINGS[0]
    else:
        options = {"photometric": "minisblack", "compression": "zlib", "ome": kind == "ome"}
        tifffile.imwrite(path, noise(4, 24, 32), metadata={"axes": "ZYX"}, **options)
    group, report = scanned(path)
    assert all(check.ok for check in verified(group, report))
    array = group["image"]
    chunks = array.chunks
    order = np.array([1, 0, 2, 3])
    table = type(chunks).from_columns(
        chunks.grid,
        chunks.urls,
        offset=np.asarray(chunks.offset)[order],
        length=np.broadcast_to(chunks.length, 4)[order],
        url=None if len(chunks.urls) == 1 else np.asarray(chunks.url)[order],
    )
    wrong = Group({**group.members, "image": replace(array, chunks=table)}, group.attributes)
    assert any(check.different for check in verified(wrong, report))


def test_stacks_that_nobody_describes_follow_the_file(tmp_path):
    data = noise(5, 24, 32)
    write_pages(tmp_path / "a.tif", data, None, compression="zlib")
    group, report = scanned(tmp_path / "a.tif")
    assert all(check.ok and check.compared for check in verified(group, report))


def test_without_tiffdata_there_are_no_pixels(tmp_path):
    data = noise(2, 24, 32)
    write_pages(tmp_path / "a.ome.tif", data, ome_xml([]))
    _, report = scanned(tmp_path / "a.ome.tif")
    assert any("no TiffData" in text for text in report.warnings)


def test_what_only_the_scanner_knows_is_not_compared(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(24, 32))
    with Source(tmp_path / "a.tif") as source, TIFFScanner().native(source) as native:
        array = TIFFScanner().scan(source, ScanOptions())[0]["image"]
        other = replace(array, dimension_names=("y", "z"))
        with pytest.raises(UnsupportedError):
            native.read("image", other, (slice(0, 24), slice(0, 32)))
