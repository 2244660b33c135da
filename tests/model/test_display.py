"""What notebooks and prompts show of sets, reports, checks and descriptions."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.display import LINES, NODES, array_text, html_tree, text_tree, totals
from refmaker.model.report import Outcome, ScanReport
from refmaker.verification.compare import ArrayCheck, ArrayChecks


def one(shape=(4, 6), chunks=(2, 6), names=("y", "x"), **given):
    grid = tuple(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    total = int(np.prod(grid))
    table = ChunkTable.from_columns(
        grid, ("/data/a.bin",), offset=np.arange(total) * 48, length=np.full(total, 48)
    )
    return Array(shape, chunks, np.dtype("<i4"), table, dimension_names=names, **given)


class Balanced(HTMLParser):
    """Fails where a tag is not closed, or closed twice; keeps text and tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_text_of_a_set():
    group = Group({"a": one(), "g": Group({"b": one((3,), (3,), None)})})
    refs = refmaker.ReferenceSet(group, ScanReport("/data/a.bin", format="toy"))
    assert repr(refs).splitlines() == [
        "<ReferenceSet of '/data/a.bin' (toy)>",
        "2 arrays, 3 chunks, 108 B of values",
        "├── a  (y: 4, x: 6)  int32  chunks (2, 6)",
        "└── g/",
        "    └── b  (3)  int32  chunks (3)",
    ]


def test_inlined_chunks_are_counted_apart():
    table = ChunkTable.inline((1,), {0: bytes(8)})
    group = Group({"a": one(), "t": Array((2,), (2,), np.dtype("<i4"), table)})
    assert totals(group) == "2 arrays, 3 chunks (1 inlined), 104 B of values"


def test_a_large_tree_is_cut_and_says_so():
    group = Group({f"a{number}": one() for number in range(100)})
    lines = text_tree(group)
    assert len(lines) == LINES
    assert lines[-1] == "... and 61 more"
    assert [line.split()[1] for line in lines[:-1]] == [f"a{number}" for number in range(39)]
    exact = Group({f"a{number}": one() for number in range(LINES)})
    assert len(text_tree(exact)) == LINES
    assert "more" not in text_tree(exact)[-1]
    many = html_tree(Group({f"a{number}": one() for number in range(NODES + 7)}))
    assert many.count("<li>") == NODES
    assert "... and 7 more" in many


def test_a_deep_tree_is_shown_as_far_as_it_can_be():
    group = Group({"end": one()})
    for _ in range(5000):
        group = Group({"g": group})
    assert len(text_tree(group)) == LINES
    Balanced(html_tree(group))
    repr(refmaker.ReferenceSet(group))


def test_names_from_files_are_text():
    evil = "<script>alert('1')\x1b[31m"
    group = Group({evil: one(attributes={evil: evil, "units": evil})}, {"<b>": "</div>"})
    refs = refmaker.ReferenceSet(group, ScanReport(evil))
    page = Balanced(refs._repr_html_())
    assert not [tag for tag, _ in page.tags if tag in ("script", "b")]
    assert any(evil.split("\x1b", maxsplit=1)[0] in word for word in page.words)
    assert "\x1b" not in repr(refs)
    report = ScanReport(evil)
    report.add(evil, Outcome.SKIPPED, evil, "code")
    report.warn(evil)
    assert "\x1b" not in repr(report)
    assert "<script>" not in report._repr_html_()
    check = ArrayChecks([ArrayCheck(evil, 1, 1, different=1, reason=evil)])
    assert "\x1b" not in repr(check)
    assert "<script>" not in check._repr_html_()


def test_secrets_of_urls_are_not_shown():
    url = "s3://name:password@bucket/a.nc"
    table = ChunkTable.from_columns((1,), (url,), offset=[0], length=[4])
    group = Group({"a": Array((1,), (1,), np.dtype("<i4"), table)})
    refs = refmaker.ReferenceSet(group, ScanReport(url))
    shown = [repr(refs), refs._repr_html_(), repr(refs.report), refs.report._repr_html_()]
    assert not any("password" in text for text in shown)


def test_a_report_says_what_was_lost_first():
    report = ScanReport("a.toy", format="toy", requests=2, bytes_read=100)
    report.add("/", Outcome.GROUP)
    report.add("/x", Outcome.REFERENCED)
    report.add("/odd", Outcome.SKIPPED, "no type of ours", "type")
    report.warn("its clock is slow")
    assert repr(report).splitlines() == [
        "<ScanReport of 'a.toy' (toy): 1 group, 1 referenced, 1 skipped>",
        "skipped: /odd: no type of ours [type]",
        "warning: its clock is slow",
    ]
    page = Balanced(report._repr_html_())
    assert page.words.index("/odd") < page.words.index("/x")
    assert [attrs for tag, attrs in page.tags if tag == "tr" and attrs] == [{"class": "bad"}]
    assert repr(ScanReport("b")) == "<ScanReport of 'b': no objects>"


def test_checks_are_a_list_and_say_what_differs():
    checks = ArrayChecks(
        [ArrayCheck("a", 2, 2, 2), ArrayCheck("b", 1, 1, 0, 1, "value 3 is 4"),
         ArrayCheck("c", 1, uncompared=1, reason="no library")]
    )  # fmt: skip
    assert isinstance(checks, list)
    assert not checks.ok
    assert ArrayChecks(checks[:1]).ok
    assert checks.counts == {"equal": 1, "different": 1, "not compared": 1}
    assert repr(checks).splitlines() == [
        "<ArrayChecks of 3 arrays: 1 equal, 1 different, 1 not compared>",
        "different: b: value 3 is 4",
        "not compared: c: no library",
    ]
    page = Balanced(checks._repr_html_())
    assert page.words.index("b") < page.words.index("a")


def test_arrays_are_found_by_path():
    inner = one()
    refs = refmaker.ReferenceSet(Group({"a": one(), "g": Group({"b": inner})}))
    assert refs.arrays == {"a": refs["a"], "g/b": inner}
    assert refs["g/b"] is refs["/g/b"] is refs["g"].members["b"] is inner
    assert refs["/"] is refs.group
    with pytest.raises(KeyError, match=r"'g/c' is not in the set; did you mean 'g/b'\?"):
        refs["g/c"]
    with pytest.raises(KeyError, match="not in the set"):
        refs["a/b"]
    assert list(refs) == ["a", "g/b"]
    assert [path in refs for path in ("a", "/g/b", "g", "/", "b", "a/b", 0)] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip


def test_chunks_of_several_lengths_are_said_to_be():
    from refmaker.model.edges import Edges

    table = ChunkTable.from_columns((2,), ("/a",), offset=[0, 9], length=[9, 9])
    edges = Edges(np.array([3, 2]))
    array = Array((5,), (3,), np.dtype("<i4"), table, edges=(edges,))
    assert array_text(array) == "(5)  int32  chunks (up to 3)"


def test_only_public_names_are_offered():
    assert dir(refmaker) == sorted(refmaker.__all__)
