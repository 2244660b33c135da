"""The tests that every scanner has to pass, as a class to subclass; needs pytest.

::

    class TestMyScanner(ScannerContract):
        def scanner(self):
            return MyScanner()

        def files(self, folder):
            return {"plain": write_plain(folder / "plain.my")}

        def native_objects(self, path):
            return set(mylibrary.open(path).names())
"""
# ruff: noqa: D102 - the names of the tests are sentences

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numcodecs
import numpy as np
import pytest

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, Scanner, choose, declarations, load
from refmaker.storage import hierarchy
from refmaker.testing.damage import damaged, misdeeds, out_of_bounds
from refmaker.testing.reading import decode_array, document, open_stock
from refmaker.verification.verify import same_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FOREIGN", "ScannerContract", "assert_same_group"]

FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "text": b"time,temperature\n0,281.5\n",
    "json": b'{"version": 1, "refs": {".zgroup": "{}"}}',
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "zeros": bytes(5000),
    "ones": b"\xff" * 5000,
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "netcdf3": b"CDF\x01" + bytes(100),
    "tiff": b"II*\0\x08\0\0\0" + bytes(100),
    "grib": b"GRIB\0\0\0\x01" + bytes(100),
    "dicom": bytes(128) + b"DICM" + bytes(100),
    "hdf4": b"\x0e\x03\x13\x01\0\x01\0\0\0\0" + bytes(100),
    "fits": b"SIMPLE  =                    T".ljust(80) + bytes(100),
    "dmrpp": b'<Dataset xmlns="http://xml.opendap.org/ns/DAP/4.0#"'
    b' xmlns:dmrpp="http://xml.opendap.org/dap/dmrpp/1.0.0#">',
    "zarr": b'{"zarr_format": 3, "node_type": "group", "attributes": {}}',
}
"""Beginnings of files by kind; a kind that is named like a scanner is its own format."""


def assert_same_group(left: Group, right: Group) -> None:
    """Assert that two reference sets say the same, down to every byte range."""
    assert dict(documents(left)) == dict(documents(right))
    for (path, a), (_, b) in zip(left.arrays(), right.arrays(), strict=True):
        assert a.chunks.same(b.chunks), path


def _tidy(path: str) -> str:
    return path.strip("/")


_LEVELLED = frozenset({"bz2", "gzip", "zlib", "zstd"})


class ScannerContract(ABC):
    """Tests of one scanner over a few well-formed files.

    Attributes
    ----------
    crashes : bool
        Whether the format's library may take its process down on a broken file; broken files
        are then scanned in another process, for which the scanner must be picklable.
    """

    crashes: ClassVar[bool] = False

    @abstractmethod
    def scanner(self) -> Scanner:
        """Return the scanner."""

    @abstractmethod
    def files(self, folder: Path) -> dict[str, Path]:
        """Write small files, below 1 MB each, and return them by name."""

    @abstractmethod
    def native_objects(self, path: Path) -> set[str]:
        """Return the names of all objects that the format's own library sees in a file."""

    def companions(self, path: Path) -> list[Path]:  # noqa: ARG002 - for subclasses
        """Return the files that go with one, in its folder or below it."""
        return []

    @pytest.fixture
    def contract_files(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> dict[str, Path]:
        """Return the files, written once for the class."""
        cls = request.node.cls
        if "_contract_files" not in cls.__dict__:
            cls._contract_files = self.files(tmp_path_factory.mktemp("contract"))
        files: dict[str, Path] = cls._contract_files
        assert files, "a contract without files tests nothing"
        return files

    def _scanned(
        self, files: dict[str, Path], **fields: Any
    ) -> Iterator[tuple[Path, Group, ScanReport]]:
        for path in files.values():
            with Source(path) as source:
                group, report = self.scanner().scan(source, ScanOptions(**fields))
            yield path, group, report

    def _assert_native(self, path: Path, group: Group) -> None:
        """Assert that stock readers, and numcodecs alone, give the native values."""
        stock = open_stock(group)
        with Source(path) as source, self.scanner().native(source) as native:
            for name, array in group.arrays():
                everything = tuple(slice(0, extent) for extent in array.shape)
                true = np.asarray(native.read(name, array, everything)).astype(array.dtype)
                read: Any = stock[name]
                for how, values in (("zarr", read[...]), ("numcodecs", decode_array(array))):
                    found = np.asarray(values).astype(array.dtype)
                    assert found.shape == true.shape, (path, name, how)
                    assert same_values(found, true), (path, name, how)

    # Recognising

    def test_is_a_scanner(self) -> None:
        scanner = self.scanner()
        assert isinstance(scanner, Scanner)
        assert scanner.name
        assert scanner.name == scanner.name.lower()
        assert all(suffix.startswith(".") for suffix in scanner.suffixes)

    def test_is_what_it_declares(self) -> None:
        """Commands believe the declaration, and load the scanner only to scan."""
        scanner = self.scanner()
        known = declarations()
        if scanner.name in known and type(load(scanner.name)) is type(scanner):
            declared = known[scanner.name]
            assert declared.suffixes == tuple(scanner.suffixes)
            assert declared.settings == tuple(getattr(scanner, "settings", ()))
            for head in FOREIGN.values():
                assert declared.sniff(head, "file") == scanner.sniff(head, "file")

    def test_recognises_its_own_files(self, contract_files: dict[str, Path]) -> None:
        for path in contract_files.values():
            head = path.read_bytes()[:SNIFF_BYTES]
            assert 0 < self.scanner().sniff(head, str(path)) <= 1, path
            assert 0 < self.scanner().sniff(head, "https://host/download?id=7") <= 1, path

    def test_is_chosen_for_its_own_files(self, contract_files: dict[str, Path]) -> None:
        if self.scanner().name in declarations():
            for path in contract_files.values():
                head = path.read_bytes()[:SNIFF_BYTES]
                assert choose(head, str(path)).name == self.scanner().name, path

    @pytest.mark.parametrize("kind", FOREIGN)
    def test_leaves_foreign_files_alone(self, kind: str) -> None:
        scanner = self.scanner()
        if kind != scanner.name:
            for name in ("file", *(f"file{suffix}" for suffix in scanner.suffixes)):
                assert scanner.sniff(FOREIGN[kind], name) == 0, name

    def test_sniffs_files_of_any_length(self, contract_files: dict[str, Path]) -> None:
        for path in contract_files.values():
            data = path.read_bytes()
            for length in (*range(64), 100, 511, 512, 513):
                assert 0 <= self.scanner().sniff(data[:length], str(path)) <= 1

    # Accounting

    def test_returns_a_group_and_a_report(self, contract_files: dict[str, Path]) -> None:
        for path, group, report in self._scanned(contract_files):
            assert isinstance(group, Group)
            assert isinstance(report, ScanReport)
            assert report.format == self.scanner().name
            assert report.url == str(path)

    def test_every_object_has_a_row(self, contract_files: dict[str, Path]) -> None:
        for path, _, report in self._scanned(contract_files):
            rows = {_tidy(row.path) for row in report.rows}
            expected = {_tidy(name) for name in self.native_objects(path)}
            assert expected, path
            assert expected <= rows, (path, expected - rows)

    def test_no_object_has_two_rows(self, contract_files: dict[str, Path]) -> None:
        for path, _, report in self._scanned(contract_files):
            rows = [row.path for row in report.rows]
            assert sorted(rows) == sorted(set(rows)), path

    def test_arrays_are_the_rows_that_say_so(self, contract_files: dict[str, Path]) -> None:
        kept = (Outcome.REFERENCED, Outcome.INLINED)
        for path, group, report in self._scanned(contract_files):
            arrays = {name for name, _ in group.arrays()}
            sure = {_tidy(row.path) for row in report.having(*kept)}
            maybe = {_tidy(row.path) for row in report.having(Outcome.DUPLICATED)}
            assert sure <= arrays, (path, sure - arrays)
            assert arrays <= sure | maybe, (path, arrays - sure - maybe)

    def test_what_is_skipped_has_a_reason(self, contract_files: dict[str, Path]) -> None:
        for path, _, report in self._scanned(contract_files):
            for row in report.skipped:
                assert row.reason, (path, row)
                assert row.code, (path, row)
                assert row.code == row.code.lower().replace(" ", "-"), (path, row)

    def test_references_lie_inside_the_file(self, contract_files: dict[str, Path]) -> None:
        for path in contract_files.values():
            assert out_of_bounds(self.scanner(), path) == [], path

    def test_metadata_is_strict_json(self, contract_files: dict[str, Path]) -> None:
        for _, group, report in self._scanned(contract_files):
            for key, value in document(group)["refs"].items():
                if key.rpartition("/")[2].startswith(".z"):
                    json.loads(value, parse_constant=pytest.fail)
            dumps(report.as_dict())

    # Values

    def test_compressors_name_their_level(self, contract_files: dict[str, Path]) -> None:
        """Readers other than numcodecs refuse a configuration without its level."""
        for path, group, _ in self._scanned(contract_files):
            for where, array in group.arrays():
                for config in array.codecs:
                    assert config["id"] not in _LEVELLED or "level" in config, (path, where)

    def test_codecs_are_those_of_installed_packages(self, contract_files: dict[str, Path]) -> None:
        """Numcodecs finds each, and documents that come from afar may name it."""
        from refmaker.codecs import register, scanner_codecs
        from refmaker.io.policy import CODECS

        register()
        for path, group, _ in self._scanned(contract_files):
            for where, array in group.arrays():
                for config in array.codecs:
                    name = str(config["id"])
                    assert numcodecs.get_codec(dict(config)).codec_id == name, (path, where)
                    prefixed = name.startswith(("refmaker.", "imagecodecs_"))
                    assert prefixed or name in {*CODECS, *scanner_codecs()}, (path, where)

    def test_values_are_native(self, contract_files: dict[str, Path]) -> None:
        for path, group, _ in self._scanned(contract_files):
            self._assert_native(path, group)

    @pytest.mark.parametrize(
        "fields",
        [
            {"chunk_bytes": None},
            {"chunk_bytes": 64},
            {"inline_threshold": 0},
            {"inline_threshold": 2**20, "inline_budget": 2**30},
        ],
        ids=str,
    )
    def test_values_are_native_whatever_the_options(
        self, contract_files: dict[str, Path], fields: dict[str, Any]
    ) -> None:
        for path, group, _ in self._scanned(contract_files, **fields):
            self._assert_native(path, group)

    # Places

    def test_remote_files_are_scanned_alike(self, contract_files: dict[str, Path]) -> None:
        import fsspec

        memory = fsspec.filesystem("memory")
        for path, local, report in self._scanned(contract_files):
            root = "memory://contract/"
            url = f"{root}{path.name}"
            files = (path, *self.companions(path))
            there = {p: root + p.relative_to(path.parent).as_posix() for p in files}
            memory.pipe({place: p.read_bytes() for p, place in there.items()})
            try:
                with Source(url) as source:
                    remote, again = self.scanner().scan(source, ScanOptions())
                    assert source.requests > 0
            finally:
                memory.rm(list(there.values()))
            assert [row.outcome for row in again.rows] == [row.outcome for row in report.rows]
            text = json.dumps(document(local))
            text = text.replace(json.dumps(f"{path.parent}{os.sep}")[1:-1], root)
            assert json.loads(text) == document(remote), path

    def test_files_are_left_as_they_are(self, contract_files: dict[str, Path]) -> None:
        before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in contract_files.values()}
        for _ in self._scanned(contract_files):
            pass
        assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before}

    def test_scanning_twice_gives_the_same(self, contract_files: dict[str, Path]) -> None:
        twice = zip(self._scanned(contract_files), self._scanned(contract_files), strict=True)
        for (_, first, once), (_, second, again) in twice:
            assert json.dumps(document(first)) == json.dumps(document(second))
            assert once.rows == again.rows

    def test_written_sets_read_back(self, contract_files: dict[str, Path]) -> None:
        for path, group, _ in self._scanned(contract_files):
            again, _ = hierarchy.read(json.dumps(document(group)).encode(), str(path))
            assert_same_group(group, again)

    def test_results_travel_between_processes(self, contract_files: dict[str, Path]) -> None:
        for _, group, report in self._scanned(contract_files):
            there, account = pickle.loads(pickle.dumps((group, report)))  # noqa: S301 - our own
            assert_same_group(group, there)
            assert account == report

    def test_scans_without_zarr_and_xarray(self, contract_files: dict[str, Path]) -> None:
        cls = type(self.scanner())
        program = (
            "import sys\n"
            f"from {cls.__module__} import {cls.__qualname__} as scanner\n"
            "from refmaker.scanning.one_file import ScanOptions\n"
            "from refmaker.io.source import Source\n"
            "with Source(sys.argv[1]) as source:\n"
            "    scanner().scan(source, ScanOptions())\n"
            "print(sorted({'zarr', 'xarray'} & set(sys.modules)))\n"
        )
        path = next(iter(contract_files.values()))
        done = subprocess.run(  # noqa: S603 - this interpreter, and a program written above
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == "[]", done.stderr

    # Bad input

    @pytest.mark.parametrize("kind", FOREIGN)
    def test_foreign_files_are_refused(self, kind: str, tmp_path: Path) -> None:
        if kind == self.scanner().name:
            return  # its own: whether a bare beginning is a whole file is the format's business
        path = tmp_path / "foreign"
        path.write_bytes(FOREIGN[kind])
        with Source(path) as source, pytest.raises(RefmakerError):
            self.scanner().scan(source, ScanOptions())

    def test_noise_is_refused(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0)
        for i in range(20):
            path = tmp_path / f"noise{i}"
            path.write_bytes(noise.bytes(int(noise.integers(1, 3000))))
            with Source(path) as source, pytest.raises(RefmakerError):
                self.scanner().scan(source, ScanOptions())

    def test_broken_files_are_refused_or_read_soundly(
        self, contract_files: dict[str, Path], tmp_path: Path
    ) -> None:
        paths = []
        for seed, (name, whole) in enumerate(contract_files.items()):
            for i, data in enumerate(damaged(whole.read_bytes(), seed=seed)):
                path = tmp_path / f"{name}-{i}" / whole.name
                path.parent.mkdir()
                path.write_bytes(data)
                for other in self.companions(whole):
                    copy = path.parent / other.relative_to(whole.parent)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(other.read_bytes())
                paths.append(path)
        assert misdeeds(self.scanner(), paths, isolated=self.crashes) == []
