"""How often remote files are asked for anything: once each."""

from __future__ import annotations

import boto3
import fsspec
import h5py
import numpy as np
import pydicom
import pytest
import tifffile
from click.testing import CliRunner
from moto.server import DomainDispatcherApplication, ThreadedMotoServer

import refmaker
from refmaker.cli import main
from refmaker.errors import SourceChangedError
from refmaker.io.first_bytes import read_first_bytes
from refmaker.io.known_heads import FirstBytes, with_heads
from refmaker.io.source import Source
from refmaker.model.report import Cost, Fingerprint
from refmaker.testing.http import RangeServer
from tests.scanners.dicom.image_files import save, slice_of

COUNT = 40


def dicom(path, number):
    save(slice_of((0, 0, number), number + 1), path)


def tiff(path, number):
    tifffile.imwrite(path, np.full((9, 8), number, np.uint16))


def netcdf(path, number):
    with h5py.File(path, "w") as file:
        scale = file.create_dataset("time", data=np.array([number], "f8"))
        scale.make_scale("time")
        file.create_dataset("v", data=np.full((1, 5), number, "f4")).dims[0].attach_scale(scale)


@pytest.fixture
def serve(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    with RangeServer(made) as server:

        def files(write, suffix):
            names = [f"{number:04}{suffix}" for number in range(COUNT)]
            for number, name in enumerate(names):
                write(made / name, number)
            return server, [server.url(name) for name in names]

        yield files


def test_a_series_takes_a_request_a_file(serve):
    server, urls = serve(dicom, ".dcm")
    refs = refmaker.scan(urls)
    assert server.requests == refs.report.requests == COUNT
    assert refs.group["image"].shape[0] == COUNT


def test_so_it_does_in_a_worker_and_from_the_command_line(serve, tmp_path):
    server, urls = serve(dicom, ".dcm")
    names = tmp_path / "list.txt"
    names.write_text("\n".join(urls))
    out = str(tmp_path / "out.json")
    result = CliRunner().invoke(main, ["scan", f"@{names}", "-o", out, "-q"])
    assert result.exit_code == 0, result.output
    assert server.requests == COUNT
    server.reset()
    for number in range(3):
        refmaker.scan(urls[number])
    assert server.requests == 3


@pytest.mark.parametrize(("write", "suffix"), [(netcdf, ".nc"), (tiff, ".tif")])
@pytest.mark.parametrize("jobs", [["--isolate", "never"], ["--jobs", "1"]])
def test_files_of_any_format_that_are_joined_take_one_each(serve, tmp_path, write, suffix, jobs):
    server, urls = serve(write, suffix)
    names = tmp_path / "list.txt"
    names.write_text("\n".join(urls))
    how = ["--concat", "time"] if write is netcdf else ["--coord", "time=index"]
    out = str(tmp_path / "out.json")
    call = ["scan", f"@{names}", "-o", out, "-q", "--no-cache", *how, *jobs]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert server.requests == COUNT


def test_what_is_at_hand_is_not_asked_for(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(200)))
    with RangeServer(tmp_path) as server:
        url = server.url("a")
        heads = list(read_first_bytes([url], remote=100))
        options = with_heads(None, heads)
        cost = Cost()
        (head,) = read_first_bytes([url], options, remote=100, cost=cost)
        assert head.data == bytes(range(100))
        assert (server.requests, cost.requests, cost.bytes_read) == (1, 1, 100)
        (longer,) = read_first_bytes([url], options, remote=150)
        assert longer.data == bytes(range(150))
        with Source(url, options) as source:
            assert (source.size, source.fingerprint) == (200, head.fingerprint)
            assert source.read(90, 110) == bytes(range(90, 200))


def test_a_file_that_changes_after_its_beginning_was_read_is_noticed(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100_000))
    with RangeServer(tmp_path) as server:
        url = server.url("a")
        options = with_heads(None, read_first_bytes([url], remote=8192))
        (tmp_path / "a").write_bytes(bytes(100_001))
        with pytest.raises(SourceChangedError), Source(url, options) as source:
            source.read(50_000, 10)


def test_files_that_could_not_be_read_are_asked_again():
    assert with_heads({"a": 1}, [FirstBytes("x", b"", None)]) == {"a": 1}
    assert len(with_heads(None, [FirstBytes("x", b"", Fingerprint(0))])) == 1


@pytest.fixture
def bucket(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    asked = []
    inner = DomainDispatcherApplication.__call__

    def counting(self, environ, respond):
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
        return inner(self, environ, respond)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", counting)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="idc")
    yield (
        client,
        asked,
        {"endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}},
    )
    client.close()
    server.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_a_series_of_the_imaging_commons(bucket, tmp_path):
    client, asked, options = bucket
    for number in range(COUNT):
        dicom(tmp_path / "a.dcm", number)
        body = (tmp_path / "a.dcm").read_bytes()
        client.put_object(Bucket="idc", Key=f"series/{number * 7919:08x}.dcm", Body=body)
    (tmp_path / "cart.s5cmd").write_text("cp s3://idc/series/* .\n")
    for name in ("s3://idc/series/*", "s3://idc/series/", str(tmp_path / "cart.s5cmd")):
        asked.clear()
        refs = refmaker.scan(name, options)
        assert len(asked) == COUNT + 1, name
        assert {what for what, *_ in asked} == {"GET"}
        assert refs.group["image"].shape[0] == COUNT
        assert refs.report.requests == COUNT
    asked.clear()
    refmaker.scan(refs.urls()[0], options)
    assert len(asked) == 1
    values = refmaker.open_group(refs, storage_options=options)["image"][...]
    for number in range(COUNT):
        dicom(tmp_path / "a.dcm", number)
        np.testing.assert_array_equal(
            values[number], pydicom.dcmread(tmp_path / "a.dcm").pixel_array
        )


def test_stores_that_have_listed_files_are_not_asked_for_their_sizes(tmp_path, monkeypatch):
    fs = fsspec.filesystem("memory")
    for number in range(12):
        dicom(tmp_path / "a.dcm", number)
        fs.pipe(f"/listed/{number}.dcm", (tmp_path / "a.dcm").read_bytes())
    asked = []
    inner = type(fs).info
    monkeypatch.setattr(type(fs), "info", lambda self, p, **k: asked.append(p) or inner(self, p))
    try:
        refs = refmaker.scan("memory://listed/*")
        assert refs.group["image"].shape[0] == 12
        assert refs.report.requests == 12
        assert not [path for path in asked if path.endswith(".dcm")]
    finally:
        fs.rm("/listed", recursive=True)
