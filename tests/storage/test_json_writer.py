"""Reference sets as JSON: there and back, as stock readers see them, and when damaged."""

import base64
import io
import json
import os
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr
from hypothesis import assume, given
from hypothesis import strategies as st

from refmaker.errors import MetadataError, RefmakerError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, Outcome, ScanReport
from refmaker.storage import hierarchy
from refmaker.storage import json_writer as storage
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.strategies import arrays, chunk_tables, groups, names

I4 = np.dtype("<i4")
ZARRAY = {
    "zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i4", "compressor": None,
    "fill_value": None, "order": "C", "filters": None,
}  # fmt: skip


def written(group, header=None):
    file = io.BytesIO()
    storage.write(group, file, header)
    return file.getvalue()


def document(**refs):
    return {"version": 1, "refs": {".zgroup": '{"zarr_format":2}', **refs}}


def as_bytes(value):
    return json.dumps(value).encode()


def an_array(**refs):
    return document(**{"a/.zarray": json.dumps(ZARRAY), "a/.zattrs": "{}", **refs})


def same_group(a, b):
    ours, theirs = list(a.walk()), list(b.walk())
    assert [path for path, _ in ours] == [path for path, _ in theirs]
    for (path, one), (_, two) in zip(ours, theirs, strict=True):
        assert type(one) is type(two), path
        assert one.attributes == two.attributes
        if isinstance(one, Array):
            assert one.chunks.same(two.chunks), path
            for name in ("shape", "chunk_shape", "dtype", "order", "filters", "compressor"):
                assert getattr(one, name) == getattr(two, name), (path, name)
            assert one.dimension_names == two.dimension_names
            assert repr(one.fill_value) == repr(two.fill_value)


def plain(node):
    """Bring fill values to the form in which they come back, which other tests compare."""
    if isinstance(node, Array):
        return Array(
            node.shape, node.chunk_shape, node.dtype, node.chunks, None, node.order,
            node.filters, node.compressor, node.dimension_names, node.attributes,
        )  # fmt: skip
    return Group({name: plain(member) for name, member in node.members.items()}, node.attributes)


@given(groups())
def test_round_trip(group):
    group = plain(group)
    back, header = hierarchy.read(written(group))
    same_group(group, back)
    assert header == {}


@given(chunk_tables((3, 2)))
def test_tables_come_back(table):
    array = Array((3, 4), (1, 2), I4, table)
    back, _ = hierarchy.read(written(Group({"a": array})))
    assert back["a"].chunks.same(table)
    assert dict(back["a"].chunks.inlined) == dict(table.inlined)


@given(arrays(), names())
def test_it_is_a_kerchunk_document(array, name):
    text = written(Group({name: array}))
    found = json.loads(text)
    # GDAL refuses the member templates as such, an empty one too.
    templated = ["templates"] if array.chunks.urls else []
    assert list(found) == ["version", *templated, "refs"]
    assert found["version"] == 1
    refs = found["refs"]
    assert len(text.splitlines()) == len(refs)
    consolidated = json.loads(refs[".zmetadata"])
    assert consolidated["zarr_consolidated_format"] == 1
    for key in (".zgroup", ".zattrs", f"{name}/.zarray", f"{name}/.zattrs"):
        assert consolidated["metadata"][key] == json.loads(refs[key])
    keys = set(refs) - {".zmetadata", *consolidated["metadata"]}
    assert len(keys) == array.chunks.present
    if not array.shape:
        assert keys <= {f"{name}/0"}


def stock(text):
    """Open a document with fsspec as it is, without this package."""
    return fsspec.filesystem("reference", fo=json.loads(text), skip_instance_cache=True)


@given(chunk_tables((3, 2)), names())
def test_stock_readers_see_the_same_references(table, name):
    group = Group({name: Array((3, 4), (1, 2), I4, table)})
    references = stock(written(group)).references
    for row in range(3):
        for column in range(2):
            found = references.get(f"{name}/{row}.{column}")
            expected = table.get((row, column))
            if isinstance(expected, bytes):
                text = found if isinstance(found, bytes) else found.encode()
                assert base64.b64decode(text.removeprefix(b"base64:")) == expected
            elif expected is None:
                assert found is None
            elif expected.offset == expected.length == 0:
                assert found == [expected.url]
            else:
                assert found == list(expected)


NAMES = [
    "plain.bin",
    "a b.bin",
    "50%.bin",
    "{u}.bin",
    "}}x.bin",
    "é日.bin",
    "q'\"b\\s.bin",
    "a#b?.bin",
]


def test_stock_readers_read_the_same_bytes(tmp_path):
    values = np.arange(len(NAMES) * 6, dtype="<i4").reshape(len(NAMES) * 2, 3)
    paths = []
    for i, name in enumerate(NAMES):
        paths.append(os.fspath(tmp_path / name))
        Path(paths[-1]).write_bytes(b"\xff" * 7 + values[2 * i : 2 * i + 2].tobytes())
    (tmp_path / "whole.bin").write_bytes(values[0].tobytes())
    n = len(NAMES)
    table = ChunkTable.from_columns(
        (2 * n, 1),
        tuple(paths),
        offset=7 + np.arange(2 * n) % 2 * 12,
        length=np.full(2 * n, 12),
        url=np.arange(2 * n) // 2,
    )
    whole = ChunkTable.from_columns(
        (1,), (os.fspath(tmp_path / "whole.bin"),), offset=[0], length=[0]
    )
    scalar = ChunkTable.from_columns((), (paths[0],), offset=[7], length=[4])
    holes = ChunkTable.from_columns(
        (3,), (paths[0],), offset=[7], length=[4], index=[1], inlined={2: values[0, :1].tobytes()}
    )
    # No backslash: zarr itself takes it for a slash.
    weird = 'w "é'
    group = Group(
        {
            "many": Array(values.shape, (1, 3), I4, table),
            weird: Group({"whole": Array((3,), (3,), I4, whole)}, {"title": "x"}),
            "scalar": Array((), (), I4, scalar, dimension_names=()),
            "holes": Array((3,), (1,), I4, holes, fill_value=-1),
        },
        {"about": "é"},
    )
    out = tmp_path / "out.json"
    ReferenceSet(group).write(out)
    fs = fsspec.filesystem("reference", fo=os.fspath(out), skip_instance_cache=True)
    for (row, column), expected in np.ndenumerate(np.array(range(2 * n)).reshape(2 * n, 1)):
        assert fs.cat(f"many/{row}.{column}") == values[expected].tobytes()
    assert fs.cat("holes/2") == values[0, :1].tobytes()
    store = zarr.storage.FsspecStore(
        fsspec.filesystem(
            "reference", fo=os.fspath(out), asynchronous=True, skip_instance_cache=True
        ),
        read_only=True,
    )
    opened = zarr.open_consolidated(store, zarr_format=2, mode="r")
    assert dict(opened.attrs) == {"about": "é"}
    np.testing.assert_array_equal(opened["many"][:], values)
    np.testing.assert_array_equal(opened[f"{weird}/whole"][:], values[0])
    assert opened["scalar"][()] == 0
    assert opened["holes"][:].tolist() == [-1, 0, 0]


def of_files(urls, each=1):
    """Return a set of one array with some chunks in each file."""
    count = len(urls) * each
    table = ChunkTable.from_columns(
        (count,),
        tuple(urls),
        offset=np.arange(count) % each,
        length=np.full(count, 1),
        url=np.arange(count) // each,
    )
    return Group({"a": Array((count,), (1,), np.dtype("u1"), table)})


def templates_of(group):
    file = io.BytesIO()
    storage.write(group, file)
    found = json.loads(file.getvalue())
    return found["templates"], [v[0] for k, v in found["refs"].items() if k.startswith("a/0")]


class TestFilesOfOneFolder:
    def test_they_share_a_template(self, tmp_path):
        urls = [f"{tmp_path}/slice {i}.dcm" for i in range(30)]
        for i, url in enumerate(urls):
            Path(url).write_bytes(bytes([i]))
        group = of_files(urls)
        assert templates_of(group) == ({"u": f"{tmp_path}/"}, ["{{u}}slice 0.dcm"])
        with open(tmp_path / "set.json", "wb") as file:
            storage.write(group, file)
        fs = fsspec.filesystem("reference", fo=str(tmp_path / "set.json"))
        assert [fs.cat(f"a/{i}") for i in range(30)] == [bytes([i]) for i in range(30)]
        back, _ = hierarchy.read((tmp_path / "set.json").read_bytes(), "set.json")
        assert [back["a"].chunks.get(i)[0] for i in range(30)] == urls

    @pytest.mark.parametrize("odd", ["{0}", 'a"b', "a\\b", "ä", "a?b", "a%20b", "a#b"])
    def test_not_if_a_name_may_be_read_otherwise(self, odd):
        names, _ = templates_of(of_files(["/folder/x", f"/folder/{odd}"]))
        assert list(names.values()) == ["/folder/x", f"/folder/{odd}"]

    def test_not_if_that_takes_more_space(self):
        urls = ["/f/long name of a file", "/f/other name of a file"]
        assert templates_of(of_files(urls, 30))[0] == {"u0": urls[0], "u1": urls[1]}

    def test_folders_have_their_own(self):
        urls = ["/a/b/1", "/a/b/2", "/a/c/1", "/a/c/2", "/d", "e"]
        names, texts = templates_of(of_files(urls))
        assert names == {"u0": "/a/b/", "u1": "/a/c/", "u2": "/d", "u3": "e"}
        assert texts == ["{{u0}}1"]


@pytest.mark.parametrize("plain", [False, True])
def test_names_that_are_templates_are_refused(plain):
    table = ChunkTable.from_columns((), ("/a/{{u}}.nc",), offset=[0], length=[1])
    with pytest.raises(MetadataError, match="template"):
        storage.write(Group({"a": Array((), (), I4, table)}), io.BytesIO(), plain=plain)


@given(arrays(), names())
def test_plain_is_the_same_without_templates(array, name):
    file = io.BytesIO()
    group = Group({name: array})
    storage.write(group, file, {"version": "1"}, plain=True)
    found = json.loads(file.getvalue())
    assert list(found) == ["version", "refs", "refmaker"]
    assert stock(file.getvalue()).references.keys() == stock(written(group)).references.keys()
    rows = {key: value for key, value in found["refs"].items() if isinstance(value, list)}
    assert rows == {
        key: value
        for key, value in stock(written(group)).references.items()
        if isinstance(value, list)
    }
    back, header = hierarchy.read(file.getvalue())
    assert header == {"version": "1"}
    assert back[name].chunks.same(array.chunks)


@pytest.mark.parametrize("odd", ["{0}", 'a"b', "a\\b", "ä", "a?b", "a%20b", "%s", "a#b"])
@pytest.mark.parametrize("each", [1, 1000])
def test_plain_names_of_any_kind(odd, each):
    file = io.BytesIO()
    urls = ["/folder/x", f"/folder/{odd}"]
    storage.write(of_files(urls, each), file, plain=True)
    refs = json.loads(file.getvalue())["refs"]
    assert [refs[f"a/{i}"] for i in (0, each)] == [[url, 0, 1] for url in urls]


def test_attributes_that_are_no_json_are_refused():
    with pytest.raises(MetadataError):
        written(Group({}, {"x": float("nan")}))


def test_names_that_are_no_unicode():
    group = Group({"a\udc80": Group({}, {"\udcff": "\udc80"})})
    same_group(hierarchy.read(written(group))[0], group)


def test_deep_groups():
    group = Group()
    for _ in range(400):
        group = Group({"g": group})
    same_group(hierarchy.read(written(group))[0], group)
    for depth, said in ((600, "deeper"), (100_000, "too long")):
        deep = document(**{"g/" * depth + ".zgroup": "{}"})
        with pytest.raises(RefmakerError, match=said):
            hierarchy.read(as_bytes(deep))


class TestReferenceSet:
    def test_round_trip(self, tmp_path):
        report = ScanReport("/data/x.nc", "hdf5")
        report.add("/a", Outcome.REFERENCED)
        report.sources["/data/x.nc"] = Fingerprint(100, 1.25)
        report.sources["s3://b/é"] = Fingerprint(5, None, "etag")
        table = ChunkTable.from_columns((2,), ("/data/x.nc",), offset=[0, 8], length=[8, 8])
        refs = ReferenceSet(Group({"a": Array((4,), (2,), I4, table)}), report)
        path = tmp_path / "x.json"
        refs.write(path)
        back = ReferenceSet.read(path)
        same_group(back.group, refs.group)
        assert back.report.format == "hdf5"
        assert back.report.sources == report.sources
        refs.write("memory://refs/x.json")
        same_group(ReferenceSet.read("memory://refs/x.json").group, refs.group)

    def test_a_failure_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "x.json"
        ReferenceSet(Group()).write(path)
        before = path.read_bytes()
        wrong = Group({"g": Group({}, {"x": object()})})
        with pytest.raises(MetadataError):
            ReferenceSet(wrong).write(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["x.json"]

    @pytest.mark.parametrize("sources", [5, {"a": 5}, {"a": {}}, {"a": {"size": "x"}}])
    def test_sources_that_are_wrong(self, tmp_path, sources):
        path = tmp_path / "x.json"
        path.write_bytes(as_bytes({**document(), "refmaker": {"sources": sources}}))
        with pytest.raises(MetadataError):
            ReferenceSet.read(path)


class TestDocumentsOfOthers:
    """What kerchunk and its kin write."""

    def test_version_0(self):
        refs = {
            ".zgroup": '{"zarr_format": 2}',
            "g/a/.zarray": ZARRAY,
            "g/a/.zattrs": {"_ARRAY_DIMENSIONS": ["x"], "units": "m"},
            "g/a/0": ["/data/{{u}}.nc", 10, 8],
            "g/a/1": "base64:AQAAAAIAAAA=",
        }
        group, header = hierarchy.read(as_bytes(refs))
        array = group["g/a"]
        assert array.chunks.get(0) == ("/data/{{u}}.nc", 10, 8)
        assert array.chunks.get(1) == b"\1\0\0\0\2\0\0\0"
        assert array.dimension_names == ("x",)
        assert array.attributes == {"units": "m"}
        assert header == {}

    def test_version_1(self):
        refs = an_array(**{"a/0": ["{{u}}", 5, 8], "a/1": ["{{f(c='x')}}"]})
        refs["templates"] = {"u": "s3://b/k", "f": "s3://b/{{c}}"}
        refs["gen"] = []
        group, _ = hierarchy.read(as_bytes(refs))
        assert group["a"].chunks.get(0) == ("s3://b/k", 5, 8)
        assert group["a"].chunks.get(1) == ("s3://b/x", 0, 0)

    def test_many_templates(self):
        n = 3000
        zarray = json.dumps({**ZARRAY, "shape": [n], "chunks": [1]})
        refs = document(
            **{"a/.zarray": zarray, **{f"a/{i}": [f"{{{{u{i}}}}}", 0, 4] for i in range(n)}}
        )
        refs["templates"] = {f"u{i}": f"/f{i}" for i in range(n)}
        group, _ = hierarchy.read(as_bytes(refs))
        assert group["a"].chunks.get(n - 1).url == f"/f{n - 1}"

    @pytest.mark.parametrize(
        ("value", "data"),
        [("text", b"text"), ("é", "é".encode()), ("", b""), ({"k": 1}, b'{"k": 1}')],
    )
    def test_inlined(self, value, data):
        group, _ = hierarchy.read(as_bytes(an_array(**{"a/0": value})))
        assert group["a"].chunks.get(0) == data
        fs = stock(json.dumps(an_array(**{"a/0": value})))
        # fsspec writes JSON objects with or without blanks, as its JSON library does.
        assert fs.cat("a/0").replace(b" ", b"") == data.replace(b" ", b"")

    def test_groups_without_documents(self):
        refs = {"version": 1, "refs": {"x/y/a/.zarray": json.dumps(ZARRAY)}}
        group, _ = hierarchy.read(as_bytes(refs))
        assert [path for path, _ in group.walk()] == ["", "x", "x/y", "x/y/a"]

    def test_one_bare_array(self):
        refs = {".zarray": json.dumps(ZARRAY), "1": ["/f", 0, 8]}
        group, _ = hierarchy.read(as_bytes(refs))
        assert group["data"].chunks.get(1) == ("/f", 0, 8)

    def test_chunks_in_folders(self):
        zarray = {**ZARRAY, "shape": [4, 6], "chunks": [2, 2], "dimension_separator": "/"}
        refs = document(**{"g/a/.zarray": zarray, "g/a/1/2": ["/f", 3, 16], "g/a/0/0": "x"})
        group, _ = hierarchy.read(as_bytes(refs))
        assert group["g/a"].chunks.get((1, 2)) == ("/f", 3, 16)
        assert group["g/a"].chunks.get((0, 0)) == b"x"

    def test_members_keep_their_order(self):
        refs = document(**{f"{name}/.zgroup": "{}" for name in "zay"})
        assert list(hierarchy.read(as_bytes(refs))[0].members) == ["z", "a", "y"]


HUGE = {**ZARRAY, "shape": [2**62] * 3, "chunks": [1] * 3}
WRONG = [
    (b"", "JSON"),
    (b"\xff\xfe", "JSON"),
    (b"{", "JSON"),
    (b"[" * 100_000, "JSON"),
    (b'{"version": 1, "refs": {"a": 99999999999999999999999999}}', "a: int"),
    (b"[]", "object"),
    (b"null", "object"),
    ({"version": 2, "refs": {}}, "version 2"),
    ({"version": "1", "refs": {}}, "version '1'"),
    ({"version": 1}, "refs"),
    ({"version": 1, "refs": []}, "refs"),
    ({"version": 1, "refs": {}, "templates": ["u"]}, "templates"),
    ({"version": 1, "refs": {}, "templates": {"u": 5}}, "templates"),
    ({"version": 1, "refs": {}, "refmaker": 5}, "refmaker"),
    ({"version": 1, "refs": {}, "gen": 5}, "gen"),
    ({"version": 1, "refs": {}, "gen": [{"key": "a"}]}, "gen"),
    (document(**{".zattrs": "{"}), r"\.zattrs"),
    (document(**{".zattrs": "[" * 60}), r"\.zattrs"),
    (document(**{".zattrs": "[1]"}), r"\.zattrs"),
    (document(**{".zattrs": ["/f"]}), r"\.zattrs"),
    (document(**{".zattrs": "base64:!!"}), r"\.zattrs"),
    (document(**{".zgroup": '{"zarr_format":3}'}), r"\.zgroup"),
    (document(**{"g//.zgroup": "{}"}), "g//"),
    (document(**{"/.zarray": "{}"}), "/.zarray"),
    (document(**{"g/../.zgroup": "{}"}), r"g/\.\."),
    (document(**{"b/0": ["/f"]}), "b: chunks of an array"),
    (document(**{"0": ["/f"]}), "chunks of an array"),
    (document(**{"g/.zgroup": "{}", "g/readme": "x"}), "g/readme: neither"),
    (document(**{"a/.zarray": "{}"}), "a: .*missing"),
    (document(**{"a/.zarray": HUGE}), "a: .*numbered"),
    (an_array(**{"a/b/.zgroup": "{}"}), "a: .*members"),
    (an_array(**{"/a/0": ["/f"]}), "/a/0: a key with an empty"),
    (an_array(**{"a/b/0": ["/f"]}), "a/b: chunks of an array"),
    *(
        (an_array(**{f"a/{key}": ["/f", 0, 8]}), "a(/.*)?: ")
        for key in ("-1", "0.0", "00", "+1", " 1", "x", "", "1e0", "0\n1", "0.", ".0",
                    "9" * 30, "\u0661")
    ),
    *(
        (an_array(**{"a/0": value}), "a/0: ")
        for value in (
            5, None, True, 1.5, [], [None], [None, 1, 2], [5], [["/f"]], [{}], ["/f", 1],
            ["/f", 1, 2, 3],
            ["/f", "1", 2], ["/f", 1.5, 2], ["/f", True, 2], ["/f", None, 2], ["/f", 0, 0],
            "base64:!!",
        )
    ),
    *((an_array(**{"a/0": ["/f", *span]}), "a/0: ")
      for span in ((-1, 2), (1, -2), (2**63, 1), (1, 2**63))),
    ({**an_array(**{"a/0": ["{{x}}", 1, 2]}), "templates": {"u": "v"}}, "a/0: "),
    ({**an_array(**{"a/0": ["{{u", 1, 2]}), "templates": {"u": "v"}}, "a/0: "),
    ({**an_array(**{"a/0": ["{{u.x}}", 1, 2]}), "templates": {"u": "v"}}, "a/0: "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[str(text)[:90] for text, _ in WRONG])
def test_wrong_documents(text, words):
    data = text if isinstance(text, bytes) else as_bytes(text)
    with pytest.raises(MetadataError, match=f"(?s)^where: .*{words}") as caught:
        hierarchy.read(data, "where")
    assert caught.value.url == "where"
    assert len(str(caught.value)) < 1000


def test_keys_of_other_ranks_that_add_up():
    zarray = {**ZARRAY, "shape": [4, 4], "chunks": [2, 2]}
    refs = document(**{"a/.zarray": zarray, "a/0.0.0": ["/f", 0, 8], "a/1": ["/f", 8, 8]})
    with pytest.raises(MetadataError, match="no chunk of a grid"):
        hierarchy.read(as_bytes(refs))


@pytest.mark.parametrize("value", [["/f", 0, 8], "stray"])
def test_chunks_beyond_the_end_are_left_out_with_a_warning(value, caplog):
    """Kerchunk leaves them where an array was cut; stock readers never ask for them."""
    group, _ = hierarchy.read(as_bytes(an_array(**{"a/0": ["/f", 8, 8], "a/7": value})))
    assert group["a"].chunks.get(0) == ("/f", 8, 8)
    assert group["a"].chunks.referenced == 1
    assert "a: left out" in caplog.text
    assert "7" in caplog.text
    only, _ = hierarchy.read(as_bytes(an_array(**{"a/7": value})))
    assert only["a"].chunks.referenced + len(only["a"].chunks.inlined) == 0


@pytest.mark.parametrize("value", [["/f", 3, 4], "base64:AQIDBA=="])
@pytest.mark.parametrize("key", ["a/", "a/0"])
def test_the_chunk_of_a_scalar_may_have_no_number(key, value):
    """VirtualiZarr joins the no numbers of a scalar to no text."""
    scalar = {"a/.zarray": {**ZARRAY, "shape": [], "chunks": []}}
    group, _ = hierarchy.read(as_bytes(document(**scalar, **{key: value})))
    table = group["a"].chunks
    assert (table.get(0) if isinstance(value, list) else table.inlined[0]) in (
        ("/f", 3, 4),
        b"\1\2\3\4",
    )
    assert group["a"].dimension_names == ()
    with pytest.raises(MetadataError):
        hierarchy.read(as_bytes(document(**scalar, **{"a/": value, "a/0": value})))
    with pytest.raises(MetadataError, match=r"both|twice"):
        hierarchy.read(as_bytes(document(**scalar, **{"a/": value, "a/0": "1234"})))


def test_empty_arrays_in_chunks_of_nothing():
    """VirtualiZarr writes them so, with a chunk of no bytes."""
    empty = {**ZARRAY, "shape": [0], "chunks": [0]}
    refs = document(**{"a/.zarray": empty, "a/0": "base64:"})
    group, _ = hierarchy.read(as_bytes(refs))
    assert (group["a"].shape, group["a"].chunk_shape) == ((0,), (1,))
    assert not group["a"].chunks.inlined
    for wrong in ({"shape": [3], "chunks": [0]}, {"shape": [0, 3], "chunks": [0, 0]}):
        with pytest.raises(MetadataError, match="in chunks of"):
            hierarchy.read(as_bytes(document(**{"a/.zarray": {**ZARRAY, **wrong}})))


def test_scalars_have_one_key():
    zarray = {**ZARRAY, "shape": [], "chunks": []}
    group, _ = hierarchy.read(as_bytes(document(**{"a/.zarray": zarray, "a/0": ["/f", 3, 4]})))
    assert group["a"].chunks.get(0) == ("/f", 3, 4)
    for keys in (["1"], ["0", "1"], ["0.0"]):
        refs = document(**{"a/.zarray": zarray, **{f"a/{key}": ["/f", 3, 4] for key in keys}})
        with pytest.raises(MetadataError):
            hierarchy.read(as_bytes(refs))


@pytest.mark.parametrize("refs", [document(**{"a/zarr.json": "{}"}), {"zarr.json": "{}"}])
def test_documents_of_version_3_that_say_nothing(refs):
    with pytest.raises(MetadataError, match="Zarr format None, expected 3") as caught:
        hierarchy.read(as_bytes(refs), "where")
    assert caught.value.url == "where"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "shape", "refs", "a/0", "", "0"]), below, max_size=2
        )
    ),
    max_leaves=4,
)


def places(value, path=()):
    """Yield the way to everything inside a JSON value; texts that hold JSON count, too."""
    yield path
    inside = value
    if isinstance(value, str) and value.startswith('{"'):
        inside = json.loads(value)
    items = (
        inside.items()
        if isinstance(inside, dict)
        else enumerate(inside)
        if isinstance(inside, list)
        else ()
    )
    for key, below in items:
        yield from places(below, (*path, key))


def put(value, path, change):
    if not path:
        return change(value)
    if isinstance(value, str):
        return json.dumps(put(json.loads(value), path, change))
    key, *rest = path
    copied = value.copy()
    if change is None and not rest:
        del copied[key]
    else:
        copied[key] = put(value[key], rest, change)
    return copied


SOUND = json.loads(
    written(
        Group(
            {
                "g": Group(
                    {
                        "a": Array(
                            (4, 4),
                            (2, 2),
                            np.dtype([("x", "<i4"), ("y", "<f8")]),
                            ChunkTable.from_columns(
                                (2, 2),
                                ("/f", "/g"),
                                offset=[1, 2],
                                length=[3, 4],
                                url=[0, 1],
                                index=[0, 2],
                                inlined={3: b"x"},
                            ),
                            filters=({"id": "shuffle"},),
                            compressor={"id": "zlib"},
                            dimension_names=("x", "y"),
                        )
                    }
                ),
                "s": Array((), (), np.dtype("S3"), ChunkTable.empty(()), fill_value=b"ab"),
            },
            {"title": "t"},
        ),
        {"version": "1", "sources": {"/f": {"size": 5}}},
    )
)
PLACES = [path for path in places(SOUND) if path and path[:2] != ("refs", ".zmetadata")]


def read_or_refused(data):
    """Read a set, or return None where it is refused in the one right way."""
    refusal = None
    try:
        return hierarchy.read(data, "where")[0]
    except RefmakerError as error:
        refusal = error
    assert isinstance(refusal, MetadataError | UnsupportedError)
    assert refusal.url == "where"
    return None


@given(st.sampled_from(PLACES), JUNK | st.just("delete"))
def test_mutations_never_raise_anything_else(path, junk):
    change = None if junk == "delete" else lambda _: junk
    try:
        mutated = put(SOUND, path, change)
    except (TypeError, ValueError):
        assume(False)
    group = read_or_refused(as_bytes(mutated))
    if group is not None and mutated.get("templates"):
        same_group(hierarchy.read(written(group))[0], group)


@given(st.data())
def test_flipped_bytes_never_raise_anything_else(data):
    text = bytearray(as_bytes(SOUND))
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    text = text[: data.draw(st.integers(0, len(text)) | st.just(len(text)))]
    read_or_refused(bytes(text))


def test_a_hundred_thousand_chunks():
    n = 100_000
    table = ChunkTable.from_columns(
        (n // 100, 100), ("/f",), offset=np.arange(n) * 1000, length=np.full(n, 999)
    )
    array = Array((n // 100, 100), (1, 1), I4, table)
    text = written(Group({"a": array}))
    assert hierarchy.read(text)[0]["a"].chunks.same(table)
