"""What is not GRIB is named for what it is."""

from __future__ import annotations

import bz2
import gzip

import h5py
import pytest

import refmaker
from refmaker.errors import FormatError, UnknownFormatError, UnsupportedError
from tests.scanners.grib.messages import message

PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"
HEADING = b"\x01\r\r\n123\r\r\nHTXA98 KWBC 010000\r\r\n"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("before", [b"", HEADING])
@pytest.mark.parametrize("given", [None, "grib"])
def test_compressed_files(tmp_path, pack, before, given):
    path = tmp_path / "file.grib2.packed"
    path.write_bytes(pack(before + message()))
    with pytest.raises(UnsupportedError, match="as a whole") as caught:
        refmaker.scan(path, format=given)
    assert caught.value.code == "compressed"
    assert "unzip" in str(caught.value) or "unzip2" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (PAGE, "it looks like HTML or XML"),
        (b'{"error": "no such key"}', "it looks like JSON"),
        (b"", "it is empty"),
        (b"hello world\n" * 500, "are text"),
        (bytes(range(128, 256)) * 100, "0 of its first 64 bytes"),
    ],
)
def test_files_without_a_message(tmp_path, data, what):
    path = tmp_path / "file.grib2"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=what):
        refmaker.scan(path, format="grib")
    with pytest.raises(UnknownFormatError):
        refmaker.scan(path)


def test_a_file_of_another_format(tmp_path):
    path = tmp_path / "file.grib2"
    with h5py.File(path, "w") as file:
        file["t"] = [1, 2, 3]
    with pytest.raises(FormatError, match="its format is hdf5"):
        refmaker.scan(path, format="grib")


@pytest.mark.parametrize(
    ("before", "what"),
    [
        (HEADING, "the heading of a bulletin"),
        (bytes(300), "padding"),
        (PAGE, "it looks like HTML or XML"),
        (b"7777\n" + bytes(20), "the end of a message"),
        (bytes(range(200, 256)), "belong to no message"),
    ],
)
def test_what_comes_before_the_first_message(tmp_path, before, what):
    path = tmp_path / "file.grib2"
    path.write_bytes(before + message())
    report = refmaker.scan(path).report
    [warning] = report.warnings
    assert warning.startswith(f"{len(before)} bytes at byte 0 belong to no message")
    assert what in warning


def test_much_before_the_first_message(tmp_path):
    path = tmp_path / "file.grib2"
    path.write_bytes(PAGE * 100 + message())
    with pytest.raises(UnknownFormatError, match="HTML") as caught:
        refmaker.scan(path)
    assert "`format='grib'`" in caught.value.hint
    refs = refmaker.scan(path, format="grib")
    assert refs.group.attributes["refmaker:fields"]["placed"] == 1
    assert "HTML" in refs.report.warnings[0]
