"""Icechunk repositories are read back: our own exactly, and those of others."""

from __future__ import annotations

import os

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, assume, given, settings

import refmaker
from refmaker.errors import MetadataError, PolicyError, SourceError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage.detect import detect, reference_form
from refmaker.storage.icechunk_stores import file_url, location
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.http import RangeServer
from refmaker.testing.strategies import groups
from tests.combine.files import dataset, write

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*numcodecs.*", "ignore:.*codec.*", "ignore:.*[Cc]onsolidated.*"
)
TELLS = hasattr(icechunk.IcechunkStore, "array_chunk_iterator")
"""Whether the version that is installed tells where chunks lie."""


def small(tmp_path):
    path = tmp_path / "a b%20.bin"
    path.write_bytes(np.arange(40, dtype="<f4").tobytes())
    table = ChunkTable.from_columns(
        (5,), (str(path),), offset=np.array([0, 32, 96]), length=np.full(3, 32),
        index=np.array([0, 1, 3]), inlined={4: np.full(8, 7, "<f4").tobytes()},
    )  # fmt: skip
    array = Array(
        (40,), (8,), np.dtype("<f4"), table, dimension_names=("x",), fill_value=np.float32(9),
        attributes={"units": "K"},
    )  # fmt: skip
    report = ScanReport(str(path), format="toy", sources={str(path): Fingerprint(160, 1e9)})
    os.utime(path, (1e9, 1e9))
    return ReferenceSet(Group({"g": Group({"v": array}, {"a": 1})}, {"title": "x"}), report)


def test_locations_there_and_back():
    for url in ("/data/a b%20c?x#y.nc", "s3://bucket/a b%2F/é.nc", "https://h/a%20b?x=1"):
        assert file_url(location(url)) == url


def test_what_it_is(tmp_path):
    small(tmp_path).write(tmp_path / "a.icechunk")
    assert detect(tmp_path / "a.icechunk").kind == "icechunk"
    assert reference_form(tmp_path / "a.icechunk") == "icechunk"


def native(path, **kwargs):
    """Write a repository as a user of icechunk and xarray does."""
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    rng = np.random.default_rng(0)
    data = xr.Dataset(
        {"v": (("t", "x"), rng.random((40, 300))), "w": (("t",), rng.integers(0, 9, 40))},
        {"t": np.arange(40), "x": np.linspace(0, 1, 300)},
        {"title": "y"},
    )
    data.to_zarr(session.store, consolidated=False, encoding={"v": {"chunks": (10, 300), **kwargs}})
    session.commit("made")
    return data


if not TELLS:

    def test_an_old_icechunk_says_what_is_needed(tmp_path):
        small(tmp_path).write(tmp_path / "a.icechunk")
        for call in (refmaker.read, refmaker.open_store, refmaker.verify):
            with pytest.raises(UnsupportedError, match="does not tell where chunks lie") as caught:
                call(tmp_path / "a.icechunk")
            assert caught.value.code == "icechunk-version"
            assert "icechunk>=2" in caught.value.hint


if TELLS:

    def same(one, other):
        """Compare two sets by what they say of every array and chunk."""
        left, right = dict(one.group.walk()), dict(other.group.walk())
        assert left.keys() == right.keys()
        for path, node in left.items():
            told = dict(node.attributes)
            if "_FillValue" not in right[path].attributes:
                # Version 3 keeps it there, too.
                assert told.pop("_FillValue", None) == getattr(right[path], "fill_value", None)
            assert told == right[path].attributes
            if isinstance(node, Array):
                for field in (
                    "shape",
                    "chunk_shape",
                    "dtype",
                    "order",
                    "codecs",
                    "dimension_names",
                ):
                    assert getattr(node, field) == getattr(right[path], field), (path, field)
                assert node.chunks.same(right[path].chunks), path

    def test_our_own_come_back(tmp_path):
        refs = small(tmp_path)
        refs.write(tmp_path / "a.icechunk")
        found = refmaker.read(tmp_path / "a.icechunk")
        same(found, refs)
        assert found.report.sources == refs.report.sources
        assert found.report.format == "toy"
        assert found.origins == (str(tmp_path / "a.icechunk"),)
        group = refmaker.open_group(tmp_path / "a.icechunk")
        expected = np.full(40, 9, "f4")
        expected[:16], expected[24:32], expected[32:] = np.arange(16), np.arange(24, 32), 7
        np.testing.assert_array_equal(group["g/v"], expected)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(groups())
    def test_any_set_comes_back(tmp_path_factory, group):
        out = tmp_path_factory.mktemp("any") / "a.icechunk"
        try:
            ReferenceSet(group, ScanReport("", format="toy")).write(out)
        except (UnsupportedError, MetadataError, SourceError):
            assume(False)
        found = dict(refmaker.read(out).group.walk())
        for path, node in group.walk():
            if not isinstance(node, Array):
                continue
            array = found[path]
            assert (array.shape, array.dtype, array.codecs) == (
                node.shape, node.dtype, node.codecs
            )  # fmt: skip
            # Chunks that were never written may be written out: see settle_fill.
            for number in range(node.chunks.size):
                there = node.chunks.get(number)
                if there is not None:
                    now = array.chunks.get(number)
                    if isinstance(there, tuple):
                        now, there = _plain(now), _plain(there)
                    assert now == there, path

    def _plain(reference):
        return reference._replace(url=reference.url.removeprefix("file://"))

    def test_what_others_wrote_is_read_in_place(tmp_path):
        data = native(tmp_path / "n.icechunk")
        refs = refmaker.read(tmp_path / "n.icechunk")
        folder = str(tmp_path / "n.icechunk/chunks/")
        assert refs.group["v"].chunks.referenced == 4
        assert all(url.startswith(folder) for url in refs.group["v"].chunks.urls)
        for opened in (
            refmaker.open_dataset(tmp_path / "n.icechunk"),
            xr.open_dataset(tmp_path / "n.icechunk", engine="refmaker"),
        ):
            xr.testing.assert_identical(opened.load(), data)
        refs.write(tmp_path / "n.json")
        xr.testing.assert_identical(refmaker.open_dataset(tmp_path / "n.json").load(), data)

    def test_shards_are_refused_by_name(tmp_path):
        native(tmp_path / "n.icechunk", shards=(20, 300))
        with pytest.raises(UnsupportedError, match=r"n.icechunk: v: .*shards"):
            refmaker.read(tmp_path / "n.icechunk")

    @pytest.fixture
    def archive(tmp_path):
        """Make a cube of two files, and append three more, each by itself."""
        paths = [
            write(tmp_path / f"{k}.nc", dataset(6 * k, 6, shape=(40, 60)), (3, 20, 60))
            for k in range(5)
        ]
        scans = [refmaker.scan(path, isolate="never") for path in paths]
        refmaker.combine(scans[:2]).write(tmp_path / "cube.icechunk")
        for one in scans[2:]:
            refmaker.append(tmp_path / "cube.icechunk", [one])
        return tmp_path / "cube.icechunk"

    def test_appended_to_three_times_it_is_verified(archive):
        checks = refmaker.verify(archive, isolate="never", sample=None)
        assert {check.path: check.verdict for check in checks} == dict.fromkeys(
            ("lat", "lon", "time", "v"), "equal"
        )
        assert sum(check.compared for check in checks) > 20
        assert refmaker.read(archive).report.format == "hdf5"
        assert len(refmaker.read(archive).report.sources) == 5
        expected = np.concatenate([dataset(6 * k, 6, shape=(40, 60))["v"] for k in range(5)])
        np.testing.assert_array_equal(refmaker.open_dataset(archive)["v"], expected)
        assert all(check.ok for check in refmaker.check_sources(archive))

    def test_a_wrong_chunk_is_found(archive):
        refs = refmaker.read(archive)
        table = refs.group["v"].chunks
        order = np.roll(np.arange(table.referenced), 1)
        wrong = ChunkTable.from_columns(
            table.grid, table.urls, offset=table.offset[order], length=table.length[order],
            url=table.url,
        )  # fmt: skip
        array = refs.group["v"]
        fields = {name: getattr(array, name) for name in array.__dataclass_fields__}
        members = {**refs.group.members, "v": Array(**{**fields, "chunks": wrong})}
        ReferenceSet(Group(members), refs.report).write(archive.parent / "b.icechunk")
        checks = refmaker.verify(archive.parent / "b.icechunk", isolate="never", sample=None)
        assert {check.path: check.verdict for check in checks}["v"] == "different"

    def test_edited_sets_keep_where_they_come_from(archive, tmp_path):
        refs = refmaker.read(archive).isel(time=slice(3, 12)).rename(v="w", time="t")
        refs.write(tmp_path / "e.icechunk")
        found = refmaker.read(tmp_path / "e.icechunk")
        assert found.group["w"].origin == refs.group["w"].origin
        assert all(check.ok for check in refmaker.verify(found, isolate="never", sample=None))

    def test_it_is_an_input_as_any_other(archive, tmp_path):
        more = write(tmp_path / "5.nc", dataset(30, 6, shape=(40, 60)), (3, 20, 60))
        cube = refmaker.combine([archive, refmaker.scan(more, isolate="never")])
        assert cube.group["v"].shape == (36, 40, 60)

    def test_a_source_that_has_changed_is_noticed(archive):
        first = archive.parent / "0.nc"
        os.utime(first, (1, 1))
        with pytest.raises(OSError, match="modified after"):
            refmaker.open_dataset(archive)["v"].isel(time=0).load()

    def test_types_of_attributes_come_back(tmp_path):
        refs = small(tmp_path).assign_attrs("g/v", scale_factor=np.float32(0.1))
        refs.write(tmp_path / "a.icechunk")
        refmaker.read(tmp_path / "a.icechunk").write(tmp_path / "b.json")
        opened = refmaker.open_dataset(tmp_path / "b.json", group="g", decode_coords=False)
        assert opened["v"].encoding["scale_factor"] == np.float32(0.1)
        assert opened["v"].encoding["scale_factor"].dtype == np.float32

    def test_one_from_afar_names_nothing_here(tmp_path):
        small(tmp_path).write(tmp_path / "a.icechunk")
        with RangeServer(tmp_path) as server:
            url = server.url("a.icechunk")
            assert refmaker.read(url).group["g/v"].shape == (40,)
            with pytest.raises(PolicyError):
                refmaker.open_group(url)
            with pytest.raises(PolicyError):
                refmaker.verify(url, isolate="never")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
    @pytest.mark.parametrize("name", ["reading", "reading.icechunk"])
    def test_buckets(s3, name):
        client, options = s3
        client.put_object(Bucket="bucket", Key="k/a b?x.bin", Body=bytes(range(20)))
        url = "s3://bucket/k/a b?x.bin"
        table = ChunkTable.from_columns(
            (2,), (url,), offset=np.array([0, 10]), length=np.array([10, 10])
        )
        group = Group({"a": Array((20,), (10,), np.dtype("u1"), table)})
        ReferenceSet(group).write(f"s3://bucket/{name}", options, format="icechunk")
        refs = refmaker.read(f"s3://bucket/{name}", options)
        assert refs.group["a"].chunks.urls == (url,)
        opened = refmaker.open_group(
            f"s3://bucket/{name}", storage_options=options, reference_options=options
        )
        assert opened["a"][:].tolist() == list(range(20))

    def test_repositories_that_are_none(tmp_path):
        (tmp_path / "x/snapshots").mkdir(parents=True)
        with pytest.raises(SourceError, match="icechunk"):
            refmaker.read(tmp_path / "x")

    @pytest.mark.parametrize("told", ["x", {"sources": 1}, {"format": 3}, {"origins": {"v": 1}}])
    def test_commits_that_remember_nonsense(tmp_path, told):
        native(tmp_path / "n.icechunk")
        repository = icechunk.Repository.open(
            icechunk.local_filesystem_storage(str(tmp_path / "n.icechunk"))
        )
        session = repository.writable_session("main")
        zarr.open_group(session.store, mode="a").attrs["a"] = 1
        session.commit("odd", metadata={"refmaker": told})
        if isinstance(told, str):
            assert refmaker.read(tmp_path / "n.icechunk").report.format == ""
            return
        with pytest.raises(MetadataError, match="refmaker"):
            refmaker.read(tmp_path / "n.icechunk")
