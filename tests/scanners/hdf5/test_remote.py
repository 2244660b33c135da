"""Remote files: nothing walks an index without need, and the result is that of a local file."""

from __future__ import annotations

import json

import fsspec
import h5py
import numpy as np
import pytest

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import document

FORBIDDEN = [
    (h5py.h5o, "get_info"),
    (h5py.h5o, "visit"),
    (h5py.Group, "visit"),
    (h5py.Group, "visititems"),
    (h5py.Group, "visit_links"),
    (h5py.Group, "visititems_links"),
]
FORBIDDEN_OF_DATASETS = ["get_storage_size", "get_num_chunks", "get_chunk_info"]


def write(path, libver, block=0):
    rng = np.random.default_rng(2)
    with h5py.File(path, "w", libver=libver, userblock_size=block) as f:
        f["time"] = np.arange(300.0)
        f["time"].make_scale("time")
        for i in range(4):
            d = f.create_dataset(f"g{i % 2}/v{i}", data=rng.random((300, 60)).astype("f4"),
                                 chunks=(7, 8 + i), compression="gzip",
                                 maxshape=(None, None if i % 2 else 60))  # fmt: skip
            d.dims[0].attach_scale(f["time"])
            d.attrs["units"] = "K"
        f.create_dataset("fixed", data=rng.random((300, 60)), chunks=(7, 8))
        f.create_dataset("sparse", (3000, 600), "i2", chunks=(7, 8))[5, 9] = 3
        f["small"] = np.arange(5)
        f.create_dataset("small chunked", data=np.arange(50), chunks=(7,), compression="gzip")
        f["names"] = ["a", "bc"]
        f["alias"] = f["g0"]
        f["plain"] = rng.random((100, 60))


class Guarded:
    """Stand in for a method that remote scans must not call."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *_args, **_kwargs):
        raise AssertionError(f"{self.name} was called")


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("block", [0, 1024])
@pytest.mark.parametrize("whole_file", [0, None])
def test_same_as_local(tmp_path, monkeypatch, libver, block, whole_file):
    path = tmp_path / "f.h5"
    write(path, libver, block)
    local, account = scan(path)
    url = f"memory://remote/{libver}{block}.h5"
    memory = fsspec.filesystem("memory")
    memory.pipe(url, path.read_bytes())
    for owner, name in FORBIDDEN:
        monkeypatch.setattr(owner, name, Guarded(name))
    try:
        remote, report = scan_remote(url, whole_file)
    finally:
        memory.rm(url)
    assert report.rows == account.rows
    text = json.dumps(document(local)).replace(json.dumps(str(path))[1:-1], url)
    assert json.loads(text) == document(remote)


def scan_remote(url, whole_file):
    from refmaker.io.source import Source
    from refmaker.scanners.hdf5 import HDF5Scanner

    with Source(url, whole_file=whole_file) as source:
        return HDF5Scanner().scan(source, ScanOptions())


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_no_dataset_is_asked_for_its_index(tmp_path, monkeypatch, libver):
    path = tmp_path / "f.h5"
    write(path, libver)
    url = f"memory://asked/{libver}.h5"
    memory = fsspec.filesystem("memory")
    memory.pipe(url, path.read_bytes())
    asked = watch(monkeypatch)
    try:
        scan_remote(url, 0)
    finally:
        memory.rm(url)
    assert asked["datasets"] > 0
    assert asked["forbidden"] == []


def watch(monkeypatch):
    """Record the expensive questions that datasets are asked, wherever they come from."""
    from refmaker.scanners.hdf5 import dataset

    asked = {"datasets": 0, "forbidden": []}
    plain = dataset.OpenDataset.__init__

    class Watched:
        def __init__(self, identifier):
            self._identifier = identifier

        def __getattr__(self, name):
            if name in (*FORBIDDEN_OF_DATASETS, "chunk_iter"):
                asked["forbidden"].append(name)
            return getattr(self._identifier, name)

    def init(self, identifier, path, address):
        asked["datasets"] += 1
        plain(self, identifier, path, address)
        self.watched = Watched(identifier)

    monkeypatch.setattr(dataset.OpenDataset, "__init__", init)
    monkeypatch.setattr(
        dataset.OpenDataset, "__getattribute__",
        lambda self, name: object.__getattribute__(self, "watched")
        if name == "id" and "watched" in object.__getattribute__(self, "__dict__")
        else object.__getattribute__(self, name),
    )  # fmt: skip
    return asked


def test_questions_are_noticed(tmp_path, monkeypatch):
    write(tmp_path / "f.h5", "latest")
    asked = watch(monkeypatch)
    # In small local files asking HDF5 for the chunks costs the least.
    scan(tmp_path / "f.h5")
    assert "chunk_iter" in asked["forbidden"]
