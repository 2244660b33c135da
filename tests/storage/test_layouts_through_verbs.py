"""One set in every layout that documents come in: no verb tells them apart."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
from functools import partial

import netCDF4
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.model.zarr_v2 import documents
from refmaker.storage.reference_set import ReferenceSet

LAYOUTS = (
    "interleaved", "templates-last", "sorted", "indented", "version-0", "shuffled", "letters",
    "slashes",
)  # fmt: skip
METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata")
LETTERS = {"granule_0": "granule_q", "granule_1": "granule_c", "granule_2": "granule_xy"}
STEPS, WIDTH = 2, 6


def granule(path, number):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", WIDTH)
        for name in "ab":
            found = file.createVariable(
                name, "f4", ("t", "x"), chunksizes=(1, WIDTH // 2), zlib=name == "a"
            )
            rows = np.arange(STEPS * WIDTH, dtype="f4").reshape(STEPS, WIDTH)
            found[:] = rows + STEPS * WIDTH * number + (1000 if name == "b" else 0)
        found = file.createVariable("t", "i4", ("t",))
        found.units = "days since 2000-01-01"
        found[:] = np.arange(STEPS) + STEPS * number


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with files, and what a document of three of them says, plainly."""
    folder = tmp_path_factory.mktemp("layouts")
    for number in range(4):
        granule(folder / f"granule_{number}.nc", number)
    for name, other in LETTERS.items():
        shutil.copy2(folder / f"{name}.nc", folder / f"{other}.nc")
    sets = [refmaker.scan(folder / f"{name}.nc", inline_threshold=0) for name in LETTERS]
    found = refmaker.combine(sets, inline_threshold=0)
    found.write(folder / "plain.json")
    document = json.loads((folder / "plain.json").read_text())
    templates = document["templates"]
    refs = {}
    for key, value in document["refs"].items():
        if isinstance(value, list):
            for name, text in templates.items():
                value[0] = value[0].replace("{{" + name + "}}", text)
        if key != ".zmetadata":
            refs[key] = value
    return folder, refs


def is_chunk(key):
    return key.rpartition("/")[2] not in METADATA


def laid_out(layout, refs):
    """Return the text of a document in a layout, as others write it."""
    metadata = {key: value for key, value in refs.items() if not is_chunk(key)}
    chunks = {key: value for key, value in refs.items() if is_chunk(key)}
    if layout in ("interleaved", "indented", "letters"):
        # As files are scanned one after the other: chunk by chunk, the arrays in turns.
        chunks = dict(sorted(chunks.items(), key=lambda one: one[0].partition("/")[::-1]))
    refs = {**metadata, **chunks}
    if layout == "version-0":
        return json.dumps(refs)
    if layout == "shuffled":
        # The arrays stay in their order, which is the set's.
        rows = [*chunks.items(), *[None] * len(metadata)]
        random.Random(1).shuffle(rows)
        rest = iter(metadata.items())
        refs = dict(next(rest) if row is None else row for row in rows)
    if layout == "templates-last":
        places = [value for value in chunks.values() if isinstance(value, list)]
        folder = places[0][0].rpartition("/")[0]
        for value in places:
            value[0] = value[0].replace(folder, "{{u}}")
        return json.dumps({"refs": refs, "templates": {"u": folder}, "version": 1})
    document = {"version": 1, "refs": refs}
    text = json.dumps(
        document, sort_keys=layout == "sorted", indent=1 if layout == "indented" else None
    )
    if layout == "letters":
        for name, other in LETTERS.items():
            text = text.replace(name, other)
    return text


def with_slashes(refs):
    """Return the same with '/' between the parts of keys."""
    found = {}
    for key, value in refs.items():
        path, _, name = key.rpartition("/")
        if name == ".zarray":
            value = json.dumps({**json.loads(value), "dimension_separator": "/"})  # noqa: PLW2901
        found[f"{path}/{name.replace('.', '/')}" if is_chunk(key) else key] = value
    return found


def plain(text, folder):
    """Return text without what is different on purpose: a folder and the files' names."""
    for name, other in LETTERS.items():
        text = text.replace(f"{other}.nc", f"{name}.nc")
    return text.replace(str(folder), "FOLDER")


def run(folder, *arguments):
    """Return what a command prints, and its exit code."""
    ran = CliRunner().invoke(main, [str(one) for one in arguments])
    assert "Traceback" not in ran.output
    # Who reads a set depends on its spelling, and is compared apart.
    lines = [line for line in ran.stdout.splitlines() if not line.startswith("read by: ")]
    return plain("\n".join(lines), folder), plain(ran.stderr, folder), ran.exit_code


def contents(found, folder):
    """Return metadata and every chunk's place, whatever separates the parts of a key."""
    metadata = [(path, json.dumps(value)) for path, value in documents(found.group)]
    rows = []
    for path, array in found.group.arrays():
        table = array.chunks
        if table.referenced:
            urls = np.array([plain(url, folder) for url in table.urls], object)
            number = np.zeros(table.referenced, int) if table.url is None else table.url
            at = np.stack(table.coordinates(), 1).tolist()
            columns = at, urls[number].tolist(), table.offset.tolist(), table.length.tolist()
            rows.append((path, sorted(zip(*columns, strict=True))))
    return [text.replace('"/"', '"."') for _, text in metadata], rows


def messages(path, folder, target):
    """Return what is said of a set whose first file is gone, in the library and the command."""
    lost = target / "lost.json"
    text = path.read_text()
    for name in ("granule_0", LETTERS["granule_0"]):
        text = text.replace(f"{name}.nc", "gone.nc")
    lost.write_text(text)
    with pytest.raises(refmaker.RefmakerError) as caught:
        refmaker.open_dataset(lost).a[0].load()
    said = str(caught.value).replace("a/0/0", "a/0.0")
    return [plain(said, folder), run(target, "verify", lost), run(target, "info", lost)]


def every_verb(layout, made, target):
    """Return what all verbs make of a layout, by verb."""
    folder, refs = made
    refs = copy.deepcopy(with_slashes(refs) if layout == "slashes" else refs)
    path = target / "set.json"
    path.write_text(laid_out(layout, refs))
    found = {}
    store = refmaker.open_store(path)
    keys = sorted(key.replace("/0/", "/0.") for key in store.reader.references.keys())  # noqa: SIM118
    found["open_store"] = len(keys)
    found["open_dataset"] = refmaker.open_dataset(path).load()
    found["read"] = contents(refmaker.read(path), folder)
    described = refmaker.describe(path, "set")
    found["readers"] = described.pop("readers")
    found["describe"] = plain(json.dumps(described, default=str), folder)
    found["info"] = run(target, "info", path)
    found["verify"] = run(target, "verify", path)
    found["messages"] = messages(path, folder, target)

    last = refmaker.scan(folder / "granule_3.nc", inline_threshold=0)
    joined = refmaker.combine([path, last], inline_threshold=0)
    found["combine"] = contents(joined, folder)
    grown = target / "grown.json"
    shutil.copy(path, grown)
    refmaker.append(grown, [last], inline_threshold=0)
    found["append"] = contents(refmaker.read(grown), folder)
    for form, suffix in (("json", "json"), ("compact", "json"), ("parquet", "parquet")):
        out = target / f"{form}.{suffix}"
        found[f"convert {form}"] = run(target, "convert", path, out, "--out-format", form)
        written = ReferenceSet.read(out)
        found[f"written {form}"] = contents(written, folder)
        found[f"opened {form}"] = refmaker.open_dataset(out).load()
    refmaker.report(path, target / "page.html", looks=False)
    page = (target / "page.html").read_text()
    # Who can read a document follows from its layout.
    page = re.sub(r"<tr><th>[^<]*</th><td><span class=\"\w+\">(?:reads|does not read) .*", "", page)
    found["report"] = plain(plain(page, folder), target)
    return found


@pytest.fixture(scope="module", autouse=True)
def _in_this_process():
    """Let the command compare values here: what differs is the document, not the process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refmaker, "verify", partial(refmaker.verify, isolate="never"))
        yield


@pytest.fixture(scope="module")
def expected(made, tmp_path_factory):
    """Return what verbs make of a document as this package writes it, but without a header."""
    return every_verb("plain", made, tmp_path_factory.mktemp("plain"))


def test_what_is_expected_is_right(expected):
    values = np.arange(3 * STEPS * WIDTH, dtype="f4").reshape(-1, WIDTH)
    np.testing.assert_array_equal(expected["open_dataset"].a, values)
    np.testing.assert_array_equal(expected["open_dataset"].b, values + 1000)
    assert [path for path, _ in expected["read"][1]] == ["a", "b"]
    assert expected["verify"][0].count("equal  ") == 3
    assert expected["verify"][2] == 0
    assert "gone.nc" in expected["messages"][0]
    assert len(expected["combine"][1][0][1]) == 4 * STEPS * 2
    assert expected["append"] == expected["combine"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_through_every_verb(layout, made, expected, tmp_path):
    found = every_verb(layout, made, tmp_path)
    assert set(found) == set(expected) - (
        {"verify with header"} if layout == "version-0" else set()
    )
    if layout == "templates-last":
        nothing = {"reads": "none", "not": ["templates"]}
        readers = expected["readers"]
        without = {name: readers[name] | nothing for name in ("gdal", "virtualizarr")}
        expected = expected | {"readers": readers | without}
    for verb, value in found.items():
        if isinstance(value, xr.Dataset):
            xr.testing.assert_identical(value, expected[verb])
        else:
            assert value == expected[verb], verb
