"""Studies where they lie: in archives, behind servers, on media with a directory."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

import refmaker
from refmaker.model.report import Outcome
from refmaker.testing import open_stock
from refmaker.testing.http import RangeServer
from tests.scanners.dicom.image_files import save, save_all, slice_of
from tests.scanners.dicom.test_collections import media
from tests.scanners.dicom.test_volumes import collect


def pack(path, folder, method=zipfile.ZIP_STORED, top="study"):
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}/{file.relative_to(folder)}".lstrip("/"))
    return str(path)


def shapes(refs):
    return {path: array.shape for path, array in refs.group.arrays()}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    save_all(made, [slice_of((0, 0, k), k + 1, RescaleSlope="2") for k in range(12)])
    return made


def test_an_archive_of_a_study_is_the_study(folder, tmp_path):
    local, _ = collect(sorted(map(str, folder.iterdir())))
    true = np.asarray(open_stock(local)["image"][...])
    archive = pack(tmp_path / "x.zip", folder)
    for name in (archive, f"zip://*::{archive}", f"zip://study::{archive}"):
        refs = refmaker.scan(name)
        assert refs.report.lossless
        assert refs.urls() == [archive]
        np.testing.assert_array_equal(open_stock(refs)["image"][...], true)
        assert refs.group["image"].attributes == local["image"].attributes
    assert all(check.ok for check in refmaker.verify(refs, isolate="never"))
    with RangeServer(tmp_path) as server:
        far = refmaker.scan(server.url("x.zip"))
        assert server.requests <= 12 + 3
        assert far.urls() == [server.url("x.zip")]
        assert shapes(far) == shapes(refs)


def test_a_packed_study_is_refused_once_with_the_remedy(folder, tmp_path):
    archive = pack(tmp_path / "x.zip", folder, zipfile.ZIP_DEFLATED)
    with pytest.raises(refmaker.errors.UnsupportedError, match="unzip") as caught:
        refmaker.scan(archive)
    assert caught.value.code == "archive-packed"


def test_compressed_frames_behind_a_server_take_a_request_each(tmp_path):
    made = [slice_of((0, 0, k), k + 1) for k in range(9)]
    for data in made:
        data.compress(RLELossless, generate_instance_uid=False)
    names = [os.path.basename(path) for path in save_all(tmp_path, made)]
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan([server.url(name) for name in names])
        assert refs.group["image"].shape[0] == 9
        assert server.requests == 9


def test_headers_that_are_longer_than_what_is_fetched(tmp_path):
    made = [slice_of((0, 0, k), k + 1) for k in range(3)]
    for data in made:
        data.add_new(0x00091001, "OB", bytes(100_000))
        data.add_new(0x00090010, "LO", "A CREATOR")
    names = [os.path.basename(path) for path in save_all(tmp_path, made)]
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan([server.url(name) for name in names])
        assert refs.group["image"].shape[0] == 3
        assert server.requests <= 6


@pytest.mark.parametrize("lower", [False, True])
def test_media_directories_in_archives(tmp_path, lower):
    media(tmp_path / "disk")
    if lower:
        for path in sorted((tmp_path / "disk").rglob("*"), reverse=True):
            if path.name != "DICOMDIR":
                path.rename(path.with_name(path.name.lower()))
    archive = pack(tmp_path / "x.zip", tmp_path / "disk", top="")
    whole = refmaker.scan(archive)
    images = [array.shape[0] for path, array in whole.group.arrays() if path.endswith("image")]
    assert images == [3, 3]
    assert whole.report.lossless
    alone = refmaker.scan(f"zip://DICOMDIR::{archive}")
    assert shapes(alone) == shapes(whole)
    assert alone.urls() == [archive]


def test_media_directories_behind_servers(tmp_path):
    media(tmp_path / "disk")
    files = [path for path in sorted((tmp_path / "disk").rglob("*")) if path.is_file()]
    with RangeServer(tmp_path / "disk") as server:
        refs = refmaker.scan([server.url("DICOMDIR")])
        assert len(refs.report.having(Outcome.METADATA)) == 1
        images = [a.shape[0] for path, a in refs.group.arrays() if path.endswith("image")]
        assert images == [3, 3]
        assert server.requests == len(files)


def test_a_directory_among_its_files_changes_nothing(tmp_path):
    path = media(tmp_path / "disk")
    whole = refmaker.scan(str(tmp_path / "disk"))
    os.unlink(path)
    without = refmaker.scan(str(tmp_path / "disk"))
    assert shapes(whole) == shapes(without)
    assert whole.report.lossless


def test_files_that_a_directory_names_and_are_gone_are_named(tmp_path):
    path = media(tmp_path / "disk")
    gone = sorted(p for p in (tmp_path / "disk").rglob("*") if p.is_file() and p.name != "DICOMDIR")
    shutil.rmtree(gone[0].parent)
    refs = refmaker.scan([path])
    assert {row.path.rpartition("/")[2] for row in refs.report.skipped} == {
        p.name for p in gone if p.parent == gone[0].parent
    }
    assert {row.reason for row in refs.report.skipped} == {"no such file"}


def test_a_single_slice_in_an_archive(tmp_path):
    (tmp_path / "in").mkdir()
    save(slice_of((0, 0, 0), 1), tmp_path / "in" / "a.dcm")
    refs = refmaker.scan(pack(tmp_path / "x.zip", tmp_path / "in"))
    assert refs.group["image"].shape[-2:] == (6, 5)


def nested_media(folder):
    """Write a medium whose DICOMDIR names a directory for each study, as some scanners do.

    The names in those directories count from the root of the medium.
    """
    root = Path(media(folder))
    whole = pydicom.dcmread(root)
    names = [
        list(record.ReferencedFileID)
        for record in whole.DirectoryRecordSequence
        if "ReferencedFileID" in record
    ]
    top = sorted({name[0] for name in names})
    for study in top:
        inner = pydicom.dcmread(root)
        inner.DirectoryRecordSequence = [
            record for record in whole.DirectoryRecordSequence if "ReferencedFileID" in record
        ]
        inner.save_as(folder / study / "DIRFILE")
    records = []
    for study in top:
        record = Dataset()
        record.DirectoryRecordType = "STUDY"
        record.ReferencedFileID = [study, "DIRFILE"]
        records.append(record)
    whole.DirectoryRecordSequence = records
    whole.save_as(root)
    return str(root), names


def test_directories_that_name_directories(tmp_path):
    path, names = nested_media(tmp_path / "disk")
    refs = refmaker.scan([path])
    images = [array.shape[0] for name, array in refs.group.arrays() if name.endswith("image")]
    assert images == [3, 3]
    assert refs.report.lossless
    assert len(refs.report.having(Outcome.METADATA)) == 1 + len({name[0] for name in names})
    # The directory of a study stands for its files as well, wherever the study was taken.
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copytree(tmp_path / "disk" / names[0][0], tmp_path / "elsewhere" / names[0][0])
    alone = refmaker.scan([str(moved / "DIRFILE")])
    assert [array.shape[0] for name, array in alone.group.arrays() if name.endswith("image")] == [
        3,
        3,
    ]


def test_directories_that_name_directories_in_archives(tmp_path):
    nested_media(tmp_path / "disk")
    archive = pack(tmp_path / "x.zip", tmp_path / "disk", top="")
    refs = refmaker.scan(f"zip://DICOMDIR::{archive}")
    images = [array.shape[0] for name, array in refs.group.arrays() if name.endswith("image")]
    assert images == [3, 3]
    assert refs.report.lossless


def test_a_directory_that_names_itself_is_read_once(tmp_path):
    path, _ = nested_media(tmp_path / "disk")
    whole = pydicom.dcmread(path)
    record = Dataset()
    record.DirectoryRecordType = "STUDY"
    record.ReferencedFileID = "DICOMDIR"
    whole.DirectoryRecordSequence = [*whole.DirectoryRecordSequence, record]
    whole.save_as(path)
    refs = refmaker.scan([path])
    assert len(refs.report.having(Outcome.METADATA)) == 2
