"""Collections of files: media directories, contract of the scanner, the oracle."""

from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

from refmaker.errors import UnknownFormatError
from refmaker.model.report import Outcome
from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import MultiFileScanner
from refmaker.testing import ScannerContract, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.dicom.image_files import (
    enhanced,
    save,
    save_all,
    slice_of,
    slide_level,
)
from tests.scanners.dicom.test_volumes import SHARED, collect, plane, repeated, segmentation


class TestContract(ScannerContract):
    def scanner(self):
        return DICOMScanner()

    def files(self, folder):
        made = {
            "slice": slice_of((1, 2, 3), 1, RescaleSlope="2", RescaleIntercept="-5"),
            "plain": slice_of(None, 1),
            "enhanced": enhanced([plane(z) for z in (2, 0, 1)], SHARED),
            "segments": segmentation([(1, 0), (2, 0), (2, 1)])[0],
            "slide": slide_level(
                np.random.default_rng(0).integers(0, 255, (10, 13, 3)).astype(np.uint8), (4, 6)
            ),
        }
        return {name: Path(save(data, folder / f"{name}.dcm")) for name, data in made.items()}

    def native_objects(self, path):
        assert pydicom.dcmread(path).Rows
        return {"/", "/image"}


def test_it_collects():
    assert isinstance(DICOMScanner(), MultiFileScanner)


def media(folder):
    """Write a media directory with two series, and return it."""
    files = FileSet()
    for series in ("x", "y"):
        for k in range(3):
            data = slice_of((0, 0, k), k + 1, series=series)
            data.SeriesNumber = 1
            data.StudyDate, data.StudyTime, data.StudyID = "20200101", "120000", "1"
            files.add(data)
    files.write(folder)
    with warnings.catch_warnings():
        # It leaves a temporary folder to the garbage collector.
        warnings.simplefilter("ignore")
        del files
        gc.collect()
    return str(folder / "DICOMDIR")


def test_a_media_directory_stands_for_its_files(tmp_path):
    path = media(tmp_path / "disk")
    group, report = collect([path])
    images = {name: array.shape[0] for name, array in group.arrays() if name.endswith("image")}
    assert list(images.values()) == [3, 3]
    assert [row.path for row in report.having(Outcome.METADATA)] == ["/DICOMDIR"]
    alone, _ = DICOMScanner().collect([path], None, ScanOptions())
    assert [name for name, _ in alone.arrays()] == [name for name, _ in group.arrays()]


def test_files_that_are_named_and_found_count_once(tmp_path):
    path = media(tmp_path / "disk")
    found = [str(p) for p in sorted((tmp_path / "disk").rglob("*")) if p.is_file()]
    group, _ = collect(found)
    once, _ = collect([path])
    shapes = [array.shape for _, array in group.arrays()]
    assert shapes == [array.shape for _, array in once.arrays()]


def test_a_file_that_a_directory_names_may_be_missing(tmp_path):
    path = media(tmp_path / "disk")
    gone = next(
        p for p in sorted((tmp_path / "disk").rglob("*")) if p.name != "DICOMDIR" and p.is_file()
    )
    gone.unlink()
    _, report = collect([path])
    assert [row.code for row in report.skipped] == ["unreadable"]


def test_nothing_but_other_files_is_an_error(tmp_path):
    for k in range(2):
        (tmp_path / f"{k}.txt").write_text("nothing of the kind" * 40)
    with pytest.raises(UnknownFormatError):
        collect([str(tmp_path / f"{k}.txt") for k in range(2)])


def test_the_oracle_reads_what_references_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = repeated(tmp_path / "a", "EchoTime", ["1", "2"])
    made = [slice_of((0, 0, k), k + 1, series="gap") for k in (0, 1, 3, 4, 5)]
    paths += save_all(tmp_path / "b", made)
    group, _ = collect(paths)
    stock = open_stock(group)
    with DICOMScanner().native_collection(paths, None) as native:
        for name, array in group.arrays():
            everything = tuple(slice(0, extent) for extent in array.shape)
            true = native.read(name, array, everything)
            assert same_values(np.asarray(stock[name][...]), np.asarray(true)), name


def test_files_are_read_once(tmp_path):
    made = [slice_of((0, 0, k), k + 1) for k in range(30)]
    _, report = collect(save_all(tmp_path, made))
    assert report.requests <= len(made)
    assert report.bytes_read <= sum(
        os.path.getsize(tmp_path / name) for name in os.listdir(tmp_path)
    )


def test_remote_files_take_one_request_each(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    made = [slice_of((0, 0, k), k + 1) for k in range(5)]
    urls = []
    for path in save_all(tmp_path, made):
        url = f"memory://dicom/{os.path.basename(path)}"
        memory.pipe(url, Path(path).read_bytes())
        urls.append(url)
    try:
        group, report = DICOMScanner().collect(urls, {}, ScanOptions())
        assert report.requests <= 2 * len(urls)  # this store is asked for sizes, too
        assert np.asarray(open_stock(group)["image"][...]).shape == (5, 6, 5)
    finally:
        memory.rm("memory://dicom", recursive=True)
