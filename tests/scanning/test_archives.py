"""Scans of members of archives: references into the archive that any reader follows."""

from __future__ import annotations

import os
import tarfile
import zipfile
from dataclasses import replace

import h5py
import nrrd
import numpy as np
import pytest
import tifffile
import zarr

import refmaker
from refmaker.errors import RefmakerError
from refmaker.testing import open_stock
from refmaker.testing.http import RangeServer


def pack(path, folder, method=zipfile.ZIP_STORED):
    names = sorted(p for p in folder.rglob("*") if p.is_file())
    if path.suffix == ".tar":
        with tarfile.open(path, "w") as archive:
            for name in names:
                archive.add(name, str(name.relative_to(folder)))
    else:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in names:
                archive.write(name, str(name.relative_to(folder)))
    return str(path)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    rng = np.random.default_rng(0)
    tifffile.imwrite(made / "a.tif", rng.integers(0, 999, (40, 50), np.uint16), tile=(16, 16))
    with h5py.File(made / "b.h5", "w") as file:
        file["x"] = rng.random((30, 20))
        file.create_dataset("y", data=rng.random((30, 20)), chunks=(7, 9), compression="gzip")
        file["small"] = np.arange(3)
    return made


def is_equal(refs):
    checks = refmaker.verify(refs)
    assert checks
    return all(check.verdict == "equal" for check in checks)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_references_are_those_of_the_file_moved(folder, tmp_path, kind):
    archive = pack(tmp_path / f"x.{kind}", folder)
    for name in ("a.tif", "b.h5"):
        alone = refmaker.scan(folder / name)
        packed = refmaker.scan(f"{kind}://{name}::{archive}")
        assert list(packed.report.sources) == [archive]
        assert packed.urls() == [archive]
        stock = open_stock(packed.group)
        for path, array in alone.group.arrays():
            np.testing.assert_array_equal(
                stock[path][...], open_stock(alone.group)[path][...], path
            )
            assert packed.group[path].attributes == array.attributes


def test_they_are_verified_and_read_without_archives(folder, tmp_path):
    archive = pack(tmp_path / "x.zip", folder)
    out = tmp_path / "b.json"
    refmaker.scan(f"zip://b.h5::{archive}").write(out)
    text = out.read_text()
    assert "::" not in text
    again = refmaker.ReferenceSet.read(out)
    assert is_equal(again)
    with h5py.File(folder / "b.h5") as file:
        np.testing.assert_array_equal(open_stock(again.group)["y"][...], file["y"][...])


def test_verify_sees_other_bytes(folder, tmp_path):
    archive = pack(tmp_path / "x.zip", folder)
    refs = refmaker.scan(f"zip://b.h5::{archive}")
    array = refs.group["y"]
    swapped = replace(array.chunks, offset=array.chunks.offset[::-1].copy(),
                      length=array.chunks.length[::-1].copy())  # fmt: skip
    group = refs.group.map_arrays(lambda one: replace(one, chunks=swapped) if one is array else one)
    assert not is_equal(refmaker.ReferenceSet(group, refs.report))


def test_a_whole_archive_is_scanned_file_by_file(folder, tmp_path):
    archive = pack(tmp_path / "x.zip", folder)
    found = list(refmaker.scan_many(archive, jobs=0, cache=False))
    assert [file.error for file in found] == [None, None]
    assert {url for file in found for url in file.references().urls()} == {archive}


def test_an_archive_of_one_file_stands_for_it(tmp_path):
    made = tmp_path / "one"
    made.mkdir()
    tifffile.imwrite(made / "a.tif", np.arange(6, dtype=np.uint8).reshape(2, 3))
    refs = refmaker.scan(pack(tmp_path / "one.zip", made))
    np.testing.assert_array_equal(open_stock(refs.group)["image"][...], [[0, 1, 2], [3, 4, 5]])


def test_packed_members_cost_no_other(folder, tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(folder / "a.tif", "a.tif", zipfile.ZIP_DEFLATED)
        file.write(folder / "b.h5", "b.h5", zipfile.ZIP_STORED)
    packed, stored = refmaker.scan_many(str(archive), jobs=0, cache=False)
    assert "unzip" in str(packed.error)
    assert stored.error is None


def test_files_beside_a_member_are_members(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    data = np.arange(2 * 8 * 8, dtype=np.uint16).reshape(2, 8, 8)
    names = ["p0.ome.tif", "p1.ome.tif"]
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8"'
        ' SizeY="8" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        + "".join(
            f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:'
            f"00000000-0000-0000-0000-00000000000{z}</UUID></TiffData>"
            for z, name in enumerate(names)
        )
        + "</Pixels></Image></OME>"
    )
    for z, name in enumerate(names):
        tifffile.imwrite(made / name, data[z], description=text, metadata=None)
    alone = refmaker.scan(made / names[0])
    archive = pack(tmp_path / "x.zip", tmp_path / "made")
    packed = refmaker.scan(f"zip://{names[0]}::{archive}")
    assert packed.urls() == [archive]
    assert {p: a.shape for p, a in packed.group.arrays()} == {
        p: a.shape for p, a in alone.group.arrays()
    }
    path = next(p for p, a in packed.group.arrays() if 2 in a.shape and a.shape[-1] == 8)
    np.testing.assert_array_equal(np.squeeze(open_stock(packed.group)[path][...]), data)


def test_far_archives_are_references_over_http(folder, tmp_path):
    pack(tmp_path / "x.zip", folder)
    with RangeServer(tmp_path) as server:
        url = server.url("x.zip")
        refs = refmaker.scan(f"zip://b.h5::{url}")
        assert refs.urls() == [url]
        with h5py.File(folder / "b.h5") as file:
            group = refmaker.open_group(refs)
            assert isinstance(group, zarr.Group)
            np.testing.assert_array_equal(group["y"][...], file["y"][...])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("a.tif.gz", "gunzip -k"),
        ("a.tif.bz2", "bunzip2 -k"),
        ("a.tif.xz", "unxz -k"),
        ("a.tar.gz", "tar -xf"),
        ("a.tgz", "tar -xf"),
    ],
)
def test_remedies_of_packed_files_work_as_typed(folder, tmp_path, name, remedy):
    import bz2
    import gzip
    import lzma
    import subprocess

    data = (folder / "a.tif").read_bytes()
    inner = tmp_path / "in"
    inner.mkdir()
    (inner / "a.tif").write_bytes(data)
    if remedy.startswith("tar"):
        data = (tmp_path / "a.tar").read_bytes() if pack(tmp_path / "a.tar", inner) else b""
        os.unlink(tmp_path / "a.tar")
    packers = {"gz": gzip.compress, "tgz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    path = tmp_path / "my files" / name
    path.parent.mkdir()
    path.write_bytes(packers[name.rpartition(".")[2]](data))
    with pytest.raises(RefmakerError) as caught:
        refmaker.scan(path)
    command = caught.value.hint.partition(": ")[2]
    assert command.startswith(remedy)
    subprocess.run(command, shell=True, check=True, cwd=path.parent)  # noqa: S602
    assert refmaker.scan(path.parent / "a.tif").report.lossless


def test_archives_of_other_names_are_told_how_to_be_named(folder, tmp_path):
    import shlex

    path = tmp_path / "no suffix"
    os.rename(pack(tmp_path / "x.zip", folder), path)
    with pytest.raises(RefmakerError) as caught:
        refmaker.scan(path)
    (name,) = shlex.split(caught.value.hint.partition(": ")[2])
    assert len(list(refmaker.scan_many(name, jobs=0, cache=False))) == 2


def volume(folder, name="x.nrrd", detached=False):
    """Write a volume that is small enough to be inlined."""
    data = np.arange(24, dtype="i2").reshape(2, 3, 4)
    nrrd.write(str(folder / name), data, {"encoding": "raw"}, detached, index_order="C")
    return data


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(("name", "threshold"), [("x.nrrd", 1024), ("x.nhdr", 0), ("x.nhdr", 1024)])
def test_members_are_verified_whose_header_is_not_referenced(tmp_path, name, threshold, kind):
    (tmp_path / "made").mkdir()
    data = volume(tmp_path / "made", name, name == "x.nhdr")
    archive = pack(tmp_path / f"a.{kind}", tmp_path / "made")
    refs = refmaker.scan(f"{kind}://{name}::{archive}", inline_threshold=threshold)
    assert np.array_equal(open_stock(refs.group)["data"][...], data)
    assert [(check.path, check.ok) for check in refmaker.verify(refs, sample=None)] == [
        ("data", True)
    ]


def test_an_archive_in_an_archive_is_refused(tmp_path):
    (tmp_path / "made").mkdir()
    volume(tmp_path / "made")
    (tmp_path / "outer").mkdir()
    pack(tmp_path / "outer" / "in.zip", tmp_path / "made")
    outer = pack(tmp_path / "out.zip", tmp_path / "outer")
    with pytest.raises(RefmakerError, match="an archive in an archive") as caught:
        refmaker.scan(f"zip://x.nrrd::zip://in.zip::{outer}", inline_threshold=0)
    assert caught.value.code == "archive-nested"


def test_a_compressed_tar_archive_is_named_so(tmp_path):
    (tmp_path / "made").mkdir()
    volume(tmp_path / "made")
    path = tmp_path / "a b.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "made" / "x.nrrd", "x.nrrd")
    with pytest.raises(RefmakerError, match="compressed with gzip") as caught:
        refmaker.scan(f"tar://x.nrrd::{path}")
    assert caught.value.code == "archive-packed"
    assert caught.value.hint.endswith(f"tar -xf '{path}'")
