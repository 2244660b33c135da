"""Files that a file names, found beside it and nowhere else."""

import pytest

from refmaker.errors import SourceNotFoundError, UnsupportedError
from refmaker.io.related_files import RelatedFiles
from refmaker.io.source import Source


@pytest.fixture
def source(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("a", "b", "inner/c"):
        (tmp_path / name).write_bytes(name.encode())
    with Source(tmp_path / "a") as opened:
        yield opened


@pytest.mark.parametrize("name", ["b", "./b", "inner/../b", "inner/c"])
def test_names_are_relative_to_the_folder(source, name):
    with RelatedFiles(source) as siblings:
        assert siblings.open(name).read(0, 1) in (b"b", b"i")
        assert siblings.open(name) is siblings.open(name)


@pytest.mark.parametrize(
    "name",
    ["../x", "inner/../../x", "/etc/passwd", "http://a.b/c", "C:/x", "simplecache::b", "x://y"],
)
def test_names_that_lead_elsewhere_are_refused_unless_allowed(source, name):
    with RelatedFiles(source) as siblings:
        with pytest.raises(UnsupportedError, match="follow_external=True") as caught:
            siblings.url(name)
        assert caught.value.code == "external-outside"
        assert not siblings.opened
    if not name.startswith((".", "inner")):
        assert RelatedFiles(source, anywhere=True).url(name) == name


def test_backslashes_lead_into_folders_where_they_may(source, tmp_path):
    assert RelatedFiles(source, backslashes=True).url("inner\\c") == f"{tmp_path}/inner/c"
    assert RelatedFiles(source).url("inner\\c") == f"{tmp_path}/inner\\c"
    with pytest.raises(UnsupportedError):
        RelatedFiles(source, backslashes=True).url("..\\x")


def test_costs_are_charged_and_missing_files_remembered(source, tmp_path):
    before = source.bytes_read
    with RelatedFiles(source) as siblings:
        siblings.open("inner/c").read(0, 7)
        for _ in range(2):
            with pytest.raises(SourceNotFoundError):
                siblings.open("gone")
        assert siblings.missing == [f"{tmp_path}/gone"]
    assert source.bytes_read == before + 7
