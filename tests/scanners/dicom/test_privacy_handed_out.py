"""No identifier in whatever is made of a scan: copies, servers, caches, pages, words."""

from __future__ import annotations

import logging
import os
import stat
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

import refmaker
from refmaker.cli import main
from refmaker.io.disk_cache import ChunkCache
from refmaker.publish.description import describe
from refmaker.publish.napari import layers
from refmaker.publish.serve import serving
from refmaker.scanning.cache import ScanCache
from refmaker.testing.http import RangeServer
from tests.scanners.dicom.image_files import group, save, slice_of
from tests.scanners.dicom.test_privacy import TRACES, WORD, marked, series, slide

SECOND = 1_600_000_000
"""When files were modified: digits without a trace of what is looked for."""


def plain():
    return series()


def deflated():
    made = series()
    for data in made:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return made


def compressed():
    made = series()
    for data in made:
        data.compress(RLELossless, generate_instance_uid=False)
    return made


HERE = ("--isolate", "never")
KINDS = [plain, deflated, compressed, slide]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def files(request, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, data in enumerate(request.param()):
        os.utime(save(data, folder / f"{number}.dcm"), (SECOND, SECOND))
    return folder


def traces(data):
    """Return the sentinels in bytes as they are, and as they are when unpacked."""
    data = data.encode() if isinstance(data, str) else bytes(data)
    # Caches put a checksum in front of what they keep, and a line.
    starts = {0, 16, data.find(b"\n", 16) + 1, data.find(b"DICM") + 4}
    group = data[data.find(b"DICM") + 12 :][:4]
    starts.add(data.find(b"DICM") + 16 + int.from_bytes(group, "little"))
    forms = [data]
    for start in starts:
        for bits in (-15, 15, 31):
            try:
                forms.append(zlib.decompressobj(bits).decompress(data[start:]))
            except zlib.error:
                continue
    return sorted({trace for form in forms for trace in TRACES if trace.encode() in form})


def below(folder):
    """Return every sentinel in the files of a folder and in their names."""
    found = []
    for path in Path(folder).rglob("*"):
        found += traces(str(path.relative_to(folder)))
        found += traces(path.read_bytes()) if path.is_file() else []
    return found


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    return result.output + "".join(map(str, result.exc_info or ()))


pytestmark = [pytest.mark.filterwarnings("ignore")]


def test_the_files_themselves_are_full_of_it(files):
    # One of them is a number in binary.
    assert set(below(files)) == set(TRACES) - {"54321"}


def test_written_sets_and_copies(files, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "out"
    out.mkdir()
    told = run("scan", files, "-o", out / "a.json", *HERE, "-v", "--json")
    assert "referenced" in told
    for name, how in {
        "b.parquet": [],
        "c.json": ["--compact"],
        "d.json": ["--zarr-format", "3"],
    }.items():
        told += run("scan", files, "-o", out / name, *HERE, *how)
    for name, how in {"a.zarr": [], "raw.zarr": ["--recode", "raw"]}.items():
        told += run("materialize", out / "a.json", out / name, *how)
        assert list((out / name).rglob("*")), told
    told += run("convert", out / "a.json", out / "e.parquet")
    assert below(out) == []
    assert traces(told + caplog.text) == []


def test_what_a_server_gives(files):
    refs = refmaker.scan(str(files))
    with serving(refs) as url:
        for path, array in refs.group.arrays():
            for key in (".zarray", ".zattrs", "0." * (len(array.shape) - 1) + "0"):
                with urllib.request.urlopen(f"{url.rstrip('/')}/{path}/{key}") as answer:  # noqa: S310
                    assert traces(answer.read()) == []
        with urllib.request.urlopen(url) as answer:  # noqa: S310
            assert traces(answer.read()) == []


def test_caches(files, tmp_path, monkeypatch):
    monkeypatch.setattr("refmaker.scanning.scan._QUICK", 0.0)
    chunks, scans = tmp_path / "chunks", tmp_path / "scans"
    with RangeServer(files) as server:
        far = refmaker.scan([server.url(path.name) for path in sorted(files.iterdir())])
        for _ in range(2):
            opened = refmaker.open_group(far, cache=str(chunks))
            assert all(np.asarray(opened[path][...]).size for path, _ in far.group.arrays())
    # Of deflated data sets nothing is kept.
    deflated = "refmaker.dicom" in str([array.codecs for _, array in far.group.arrays()])
    assert any(path.is_file() for path in chunks.rglob("*")) is not deflated
    for path in files.iterdir():
        refmaker.scan(path, cache=scans)
    assert sum(path.is_file() for path in scans.rglob("*")) == len(list(files.iterdir()))
    list(refmaker.scan_many(str(files), jobs=0, cache=tmp_path / "many"))
    for folder in (chunks, scans, tmp_path / "many"):
        assert below(folder) == []


def test_nothing_is_kept_of_what_was_asked_to_identify(files, tmp_path, monkeypatch):
    monkeypatch.setattr("refmaker.scanning.scan._QUICK", 0.0)
    for how in ({"metadata": "all"}, {"uids": "keep"}):
        for path in files.iterdir():
            refs = refmaker.scan(path, cache=tmp_path / "scans", settings=how)
            assert refs.report.sensitive
        list(refmaker.scan_many(str(files), jobs=0, cache=tmp_path / "scans", settings=how))
    assert not [path for path in (tmp_path / "scans").rglob("*") if path.is_file()]


def test_pages_and_catalogs(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    refs = refmaker.scan(str(files))
    refs.write(out / "a.json")
    told = run("report", out / "a.json", "-o", out / "a.html")
    for intake in ("1", "2"):
        told += run("catalog", "add", out / f"{intake}.yaml", out / "a.json", "--intake", intake)
    told += run("catalog", "stac", out / "a.json", "-o", out / "stac.json")
    told += run("info", out / "a.json") + run("info", out / "a.json", "--json")
    told += str(describe(refs))
    assert (out / "a.html").exists(), told
    assert (out / "1.yaml").exists(), told
    assert below(out) == []
    assert traces(told) == []


def test_verdicts(files, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    refs = refmaker.scan(str(files))
    refs.write(tmp_path / "a.json")
    told = run("verify", tmp_path / "a.json", "-v", "--json")
    told += "".join(str(check) for check in refmaker.verify(refs, isolate="never"))
    assert "equal" in told
    for path in files.iterdir():
        data = bytearray(path.read_bytes())
        for at in range(len(data) // 2, len(data), 97):
            data[at] ^= 0xFF
        path.write_bytes(data)
    told += run("verify", tmp_path / "a.json") + run("info", tmp_path / "a.json")
    told += run("materialize", tmp_path / "a.json", tmp_path / "b.zarr")
    told += run("scan", files, "-o", tmp_path / "c.json", *HERE, "-v")
    # pydicom writes what it stumbles over into the log on its own account.
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("refmaker")]
    assert traces(told + "".join(ours)) == []


def test_layers_of_napari(files, tmp_path):
    refmaker.scan(str(files)).write(tmp_path / "a.json")
    for path in (str(tmp_path / "a.json"), str(files)):
        found = layers(path)
        assert found
        assert traces(str([how for _, how, _ in found])) == []


def test_names_of_formats_that_are_not_known(tmp_path):
    path = tmp_path / "notes"
    path.write_text(f"{WORD} came in on 1937-01-03\n" * 40)
    assert traces(run("scan", path, "-o", tmp_path / "a.json")) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_caches_are_their_owner_s_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        ScanCache(str(tmp_path / "deep" / "scans")).put("ab", [1], b"x")
        ChunkCache(str(tmp_path / "low" / "chunks"), 10_000, {}).put("u", 0, 1, b"x")
    finally:
        os.umask(before)
    for folder in (tmp_path / "deep", tmp_path / "low"):
        for path in (folder, *folder.rglob("*")):
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def said(*codes, scheme="DCM"):
    from pydicom.sequence import Sequence

    items = [
        group(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning=WORD)[0] for code in codes
    ]
    return Sequence(items)


def scan_of(tmp_path, made, **settings):
    for number, data in enumerate(made):
        save(data, tmp_path / f"{number}.dcm")
    return refmaker.scan(str(tmp_path), settings=settings)


def test_methods_of_deidentification_are_codes(tmp_path):
    made = [slice_of((0, 0, k), k + 1) for k in range(3)]
    for number, data in enumerate(made):
        data.DeidentificationMethod = WORD
        data.DeidentificationMethodCodeSequence = said("113100", *["113105"][:number], "113107")
    refs = scan_of(tmp_path, made)
    assert refs.group.attributes["deidentification"] == ["DCM:113100", "DCM:113107"]
    assert "deidentification" not in scan_of(tmp_path, made, metadata="none").group.attributes


@pytest.mark.parametrize("codes", [said(WORD), said("113100", scheme=WORD), said("999999")])
def test_texts_in_the_place_of_codes_are_not(tmp_path, codes):
    data = slice_of((0, 0, 0), 1)
    data.DeidentificationMethodCodeSequence = codes
    assert "deidentification" not in scan_of(tmp_path, [data]).group.attributes


def test_some_instances_without_a_method_are_all_without(tmp_path):
    made = [slice_of((0, 0, k), k + 1) for k in range(2)]
    made[0].DeidentificationMethodCodeSequence = said("113100")
    assert "deidentification" not in scan_of(tmp_path, made).group.attributes


def test_what_people_can_be_told_by_is_told_of(tmp_path):
    data = slice_of((0, 0, 0), 1, BurnedInAnnotation="YES", RecognizableVisualFeatures="YES")
    data.PatientIdentityRemoved = "NO"
    words = " ".join(scan_of(tmp_path, [data]).report.warnings)
    assert "burned into" in words
    assert "a face" in words
    assert "identity was not removed" not in words
    words = " ".join(scan_of(tmp_path, [data], metadata="all").report.warnings)
    assert "identity was not removed" in words


def test_what_is_marked_can_be_read():
    assert marked(slice_of((0, 0, 0), 1)).PatientName
