"""The contract itself: the toy scanner keeps it, and scanners that break it are found out."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refmaker.errors import FormatError
from refmaker.model import Group
from refmaker.model.report import Outcome
from refmaker.testing import ScannerContract
from refmaker.testing.damage import misdeeds


class TestToyScanner(ScannerContract):
    @pytest.fixture(autouse=True)
    def _installed(self, toy):
        type(self).module = toy

    def scanner(self):
        return self.module.ToyScanner()

    def files(self, folder):
        write, rng = self.module.write_toy, np.random.default_rng(0)
        return {
            "plain": write(
                folder / "plain.toy",
                {"x": np.arange(10, dtype=">i4"), "g/h/y": rng.random((7, 3)), "odd": "nonsense"},
            ),
            "deflated": write(
                folder / "deflated.toy", {"big": rng.random((40, 50))}, compressed=True
            ),
            "sparse": write(
                folder / "sparse.toy", {"s": np.arange(24, dtype="u1").reshape(12, 2)}, skip=(1,)
            ),
        }

    def native_objects(self, path):
        data = path.read_bytes()
        length = int.from_bytes(data[8:12], "little")
        return {entry["name"] for entry in json.loads(data[12 : 12 + length])["arrays"]}


class _Spoiled:
    """The toy scanner with one fault."""

    def __init__(self, inner):
        self.name, self.suffixes, self.native = inner.name, inner.suffixes, inner.native
        self.sniff, self.inner = inner.sniff, inner

    def scan(self, source, options):
        return self.inner.scan(source, options)


def _contract(scanner, files, objects=frozenset({"x", "y"})):
    said = {
        "scanner": lambda self: scanner,
        "files": lambda self, folder: files,
        "native_objects": lambda self, path: set(objects),
    }
    return type("Contract", (ScannerContract,), said)(), files


def test_every_subclass_has_to_say_what_it_tests():
    with pytest.raises(TypeError, match=r"files.*native_objects.*scanner"):
        ScannerContract()


@pytest.fixture
def good(toy, tmp_path):
    path = toy.write_toy(
        tmp_path / "a.toy", {"x": np.arange(20.0), "y": np.arange(2000, dtype="i2")}
    )
    return _Spoiled(toy.ToyScanner()), {"a": path}


def test_the_contract_is_kept_before_it_is_broken(good):
    contract, files = _contract(*good)
    contract.test_values_are_native(files)
    contract.test_every_object_has_a_row(files)


def test_a_lost_object_is_found(good):
    scanner, files = good

    def scan(source, options):
        group, report = scanner.inner.scan(source, options)
        report.rows = [row for row in report.rows if row.path != "y"]
        return group, report

    scanner.scan = scan
    contract, files = _contract(scanner, files)
    with pytest.raises(AssertionError):
        contract.test_every_object_has_a_row(files)
    with pytest.raises(AssertionError):
        contract.test_arrays_are_the_rows_that_say_so(files)


@pytest.mark.parametrize(("steps", "past"), [((8, 0), False), ((0, 2), True)])
def test_a_wrong_offset_is_found(good, steps, past):
    steps = np.array(steps, np.uint64)
    scanner, files = good

    def scan(source, options):
        group, report = scanner.inner.scan(source, options)
        members = {
            name: replace(node, chunks=replace(node.chunks, offset=node.chunks.offset + step))
            for (name, node), step in zip(group.members.items(), steps, strict=True)
        }
        return Group(members), report

    scanner.scan = scan
    contract, files = _contract(scanner, files)
    with pytest.raises(ValueError if past else AssertionError):
        contract.test_values_are_native(files)
    if past:
        with pytest.raises(AssertionError):
            contract.test_references_lie_inside_the_file(files)


def test_a_second_row_is_found(good):
    scanner, files = good

    def scan(source, options):
        group, report = scanner.inner.scan(source, options)
        report.add("x", Outcome.SKIPPED)
        return group, report

    scanner.scan = scan
    contract, files = _contract(scanner, files)
    with pytest.raises(AssertionError):
        contract.test_no_object_has_two_rows(files)
    with pytest.raises(AssertionError):
        contract.test_what_is_skipped_has_a_reason(files)


@pytest.mark.parametrize("isolated", [False, True])
def test_foreign_exceptions_on_broken_files_are_found(toy, tmp_path, isolated):
    path = tmp_path / "a.toy"
    header = b'{"arrays": [{}]}'
    path.write_bytes(toy.MAGIC + len(header).to_bytes(4, "little") + header)
    assert "KeyError" in misdeeds(toy.ToyScanner(), [path], isolated=isolated)[0]


def test_an_abort_costs_one_file_only(toy, tmp_path):
    module = Path(toy.__file__)
    abort = "        if source.size == 17:\n            import os\n            os.abort()\n"
    marker = "        report = ScanReport(source.url, self.name)\n"
    text = module.read_text()
    assert marker in text
    module.write_text(text.replace(marker, abort + marker))
    killer, wrong = tmp_path / "killer.toy", tmp_path / "wrong.toy"
    killer.write_bytes(bytes(17))
    wrong.write_bytes(toy.MAGIC + b"\x10\0\0\0" + b'{"arrays": [{}]}')
    (found,) = misdeeds(toy.ToyScanner(), [killer, wrong, killer], isolated=True)
    assert found.startswith(f"{wrong}: raised KeyError")


def test_a_scanner_that_cannot_travel_is_told(tmp_path):
    class Local:
        pass

    Local.__module__ = "no_such_module"
    with pytest.raises((RuntimeError, AttributeError, ImportError, pickle.PicklingError)):
        misdeeds(Local(), [tmp_path / "a"], isolated=True)


def test_an_error_of_ours_is_no_misdeed(toy, tmp_path):
    path = tmp_path / "a.toy"
    path.write_bytes(toy.MAGIC + b"\xff\xff\xff\xff")
    assert misdeeds(toy.ToyScanner(), [path], isolated=False) == []
    assert issubclass(FormatError, ValueError)
