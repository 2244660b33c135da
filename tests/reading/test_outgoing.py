"""What is handed to others, or kept in a cache, holds values and nothing around them."""

from __future__ import annotations

import http.client
import json
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pydicom
import pytest
import zarr
from pydicom.uid import DeflatedExplicitVRLittleEndian

import refmaker
from refmaker.errors import MetadataError
from refmaker.model.zarr_v2 import documents
from refmaker.model.zarr_v3 import array_document_v3
from refmaker.reading.rewritten_chunks import RewrittenChunks
from refmaker.testing.http import RangeServer
from tests.scanners.dicom.image_files import instance, save, slice_of, with_pixels

SENTINELS = (b"Sentinel", b"SENTINEL-4711", b"Patricia")


def deflated(folder, frames=1, count=1):
    """Write deflated instances; return their folder, and their pixels."""
    folder.mkdir()
    values = []
    for k in range(count):
        data = slice_of((0, 0, k), k + 1)
        if frames > 1:
            data = with_pixels(
                instance(number=k + 1),
                np.random.default_rng(k).integers(0, 9999, (frames, 6, 5)).astype(np.uint16),
            )
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        values.append(data.pixel_array)
        save(data, folder / f"{k}.dcm")
    return folder, np.array(values)


def traces(data):
    """Return the identifiers in some bytes, as they stand and in any deflate stream they are."""
    texts = [data]
    for bits in (-15, 15):
        try:
            texts.append(zlib.decompressobj(bits).decompress(data))
        except zlib.error:
            continue
    return [word for word in SENTINELS for text in texts if word in text]


def scan(folder):
    return refmaker.scan(folder, isolate="never")


def test_the_source_itself_leaves_traces(tmp_path):
    folder, _ = deflated(tmp_path / "in")
    data = (folder / "0.dcm").read_bytes()
    at = data.index(b"DICM")
    assert any(traces(data[k:]) for k in range(at, at + 400))


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (3, 1), (1, 4)])
def test_real_stores(tmp_path, frames, count):
    folder, values = deflated(tmp_path / "in", frames, count)
    refs = scan(folder)
    done = refmaker.materialize(refs, tmp_path / "out")
    assert done.complete
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in written if traces(path.read_bytes())]
    read = zarr.open_group(tmp_path / "out", mode="r")["image"][...]
    assert np.array_equal(read.reshape(values.shape), values)


def test_an_unfinished_store_is_finished(tmp_path):
    folder, values = deflated(tmp_path / "in", count=3)
    refs = scan(folder)
    kept = Path(folder / "1.dcm").read_bytes()
    Path(folder / "1.dcm").write_bytes(b"")
    first = refmaker.materialize(refs, tmp_path / "out", verify_sources="off")
    assert first.failed == 1
    Path(folder / "1.dcm").write_bytes(kept)
    second = refmaker.materialize(refs, tmp_path / "out", verify_sources="off")
    assert (second.complete, second.copied) == (True, 1)
    assert np.array_equal(zarr.open_group(tmp_path / "out", mode="r")["image"][...], values)


def ask(url, key, method="GET", **headers):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request(method, f"/{key}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_served_chunks(tmp_path):
    folder, values = deflated(tmp_path / "in", count=2)
    with refmaker.serving(scan(folder)) as url:
        answer, whole = ask(url, "image/1.0.0")
        assert answer.status == 200
        assert not traces(whole)
        answer, _ = ask(url, "image/1.0.0", "HEAD")
        assert int(answer.headers["Content-Length"]) == len(whole)
        answer, part = ask(url, "image/1.0.0", Range="bytes=3-9")
        assert (answer.status, part) == (206, whole[3:10])
        assert answer.headers["Content-Range"] == f"bytes 3-9/{len(whole)}"
        read = zarr.open_group(url, mode="r")["image"][...]
    assert np.array_equal(read, values)


def test_a_damaged_stream_is_not_handed_out(tmp_path):
    folder, _ = deflated(tmp_path / "in")
    refs = scan(folder)
    path = folder / "0.dcm"
    data = bytearray(path.read_bytes())
    # A block of the type that deflate has reserved.
    data[int(refs.group["image"].chunks.offset[0])] = 7
    path.write_bytes(data)
    done = refmaker.materialize(refs, tmp_path / "out", verify_sources="off")
    assert done.failed == 1
    with refmaker.serving(refs, verify_sources="off") as url:
        answer, body = ask(url, "image/0.0.0")
    assert answer.status == 502
    assert not traces(body)


def test_caches_keep_none_of_it(tmp_path):
    folder, values = deflated(tmp_path / "in", count=2)
    with RangeServer(folder) as server:
        refs = refmaker.scan([server.url(f"{k}.dcm") for k in range(2)], isolate="never")
        store = refmaker.open_store(refs, cache=str(tmp_path / "cache"))
        read = zarr.open_group(store, mode="r")["image"][...]
    assert np.array_equal(read, values)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not [path for path in kept if traces(path.read_bytes()[16:])]


def test_documents_of_both_versions_name_the_arrays(tmp_path):
    group = scan(deflated(tmp_path / "in")[0]).group
    v2 = {key: json.dumps(document).encode() for key, document in documents(group)}
    third = json.dumps(array_document_v3(group["image"]))
    below = {"consolidated_metadata": {"metadata": {"image": json.loads(third)}}}
    v3 = {"zarr.json": json.dumps(below).encode()}
    alone = {"image/zarr.json": third.encode()}
    for texts in (v2, v3, alone):
        found = RewrittenChunks(iter(texts.items()))
        assert "image/0.0.0" in found
        assert "image/c/0/0/0" in found
        for other in ("image/.zarray", "image/zarr.json", "z/0", "position/0"):
            assert other not in found


def test_a_codec_that_cannot_be_made_is_not_passed_by(tmp_path):
    bad = {"compressor": {"id": "refmaker.dicom", "shape": "x", "dtype": "<u2", "skip": 5}}
    found = RewrittenChunks(iter([("a/.zarray", json.dumps(bad).encode())]))
    assert "a/0" in found
    with pytest.raises(MetadataError):
        found.codec("a/0")


def test_only_pixels_are_left(tmp_path):
    folder, values = deflated(tmp_path / "in")
    data = pydicom.dcmread(folder / "0.dcm")
    assert str(data.PatientID) == "SENTINEL-4711"
    refmaker.materialize(scan(folder), tmp_path / "out")
    raw = zlib.decompress((tmp_path / "out" / "image" / "0.0.0").read_bytes(), -15)
    assert raw.endswith(values[0].tobytes())
    assert not any(raw[: -values[0].nbytes])
