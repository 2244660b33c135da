"""Scanners that misbehave in every way, as the file that they are given says."""

from __future__ import annotations

import sys

import pytest

WILD = '''
import os, sys, time
import numpy as np
from refmaker.errors import FormatError
from refmaker.model import Group
from refmaker.model.report import Outcome, ScanReport


class Wild:
    """Does what the file says."""

    name = "wild"
    suffixes = (".wild",)

    def sniff(self, head, url):
        return 1.0 if head.startswith(b"wild ") else 0.0

    def suspicious(self, head, size):
        return b"odd" in head

    def scan(self, source, options):
        deed = source.read(5, source.size - 5).decode()
        if "abort" in deed:
            os.abort()
        if "exit" in deed:
            os._exit(3)
        if "hang" in deed:
            time.sleep(1000)
        if "slow" in deed:
            time.sleep(0.5)
        if "memory" in deed:
            np.empty(2**60, np.uint8)
        if "raise" in deed:
            raise KeyError("surprise")
        if "refuse" in deed:
            raise FormatError("not so", path="/a", offset=5)
        if "touch" in deed:
            os.utime(source.path, (1, 1))
        attributes = {"pid": os.getpid(), "inline": options.inline_threshold}
        if "unpicklable" in deed:
            attributes["f"] = lambda: None
        report = ScanReport(source.url, self.name)
        report.add("/", Outcome.GROUP)
        return Group({}, attributes), report

    def native(self, source):
        raise NotImplementedError("this format has no library of its own")


class Shy(Wild):
    """Half sure of the same files, and sure of no others."""

    name = "shy"
    suffixes = (".shy",)

    def sniff(self, head, url):
        return 0.5 if head.startswith(b"wild half") else 0.0


class Bold(Shy):
    name = "bold"
    suffixes = (".bold",)

    def sniff(self, head, url):
        return Wild.sniff(self, head, url) / 2


shy = Shy()


def bold():
    return Bold()
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Install the scanners as somebody's package, by its entry points."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "wild_scanner.py").write_text(WILD)
    info = folder / "wild-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wild\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[refmaker.scanners]\nwild = wild_scanner:Wild\nshy = wild_scanner:shy\n"
        "bold = wild_scanner:bold\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("wild_scanner", None)


@pytest.fixture
def wild(site, tmp_path):
    """Return a function that writes a file with an order in it."""

    def write(deed, name="f.wild"):
        path = tmp_path / name
        path.write_text(f"wild {deed}")
        return path

    return write
