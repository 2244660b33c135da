"""Reference documents in every layout, against a JSON parser and a loop over its rows."""

# ruff: noqa: E501, C901, PLR0912 - documents one a line; the oracle is one loop, as it is meant to be
from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.storage import hierarchy, json_windows
from refmaker.storage.json_parser import parse
from refmaker.storage.limits import BASE, MEMORY, Limits

WINDOWS = (64, 300, 777, 1 << 12, 1 << 21)
METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


class Refused(Exception):  # noqa: N818 - says what it is
    """The oracle's answer to a wrong document."""


def once(pairs):
    """Return an object as a list, so that names that are there twice are seen."""
    return Pairs(pairs)


class Pairs(dict):
    def __init__(self, pairs):
        super().__init__(pairs)
        self.twice = len(self) != len(pairs)


def number(text):
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,17}", text) else None


def value_of(key, value, templates):
    """Return bytes, or URL, offset and length."""
    if isinstance(value, str):
        try:
            if value.startswith("base64:"):
                return base64.b64decode(value[7:], validate=True)
            return value.encode()
        except ValueError as error:
            raise Refused(key) from error
    if isinstance(value, dict):
        return json.dumps(value).encode()
    if not isinstance(value, list) or len(value) not in (1, 3) or not isinstance(value[0], str):
        raise Refused(key)
    offset, length = value[1:] or (0, None)
    if len(value) == 3:
        if type(offset) is not int or type(length) is not int or min(offset, length) < 0:
            raise Refused(key)
        if offset + length >= 2**63 or offset == length == 0:
            raise Refused(key)
    url = value[0]
    if templates is not None:
        for found in re.findall(r"\{\{.*?\}\}", url):
            if found[2:-2] not in templates:
                raise Refused(key)
            url = url.replace(found, templates[found[2:-2]])
        if "{{" in url:
            raise Refused(key)
    return url, offset, length


class Grids(dict):
    """Shape of the chunk grid and separator of every array, and which of them are scalars."""

    def __init__(self):
        super().__init__()
        self.scalars = set()


def grids_of(refs):
    found = Grids()
    for key, value in refs.items():
        path, _, name = key.rpartition("/")
        if name not in METADATA:
            continue
        if not isinstance(value, str | dict):
            continue
        try:
            text = value if isinstance(value, str) else json.dumps(value)
            if text.startswith("base64:"):
                text = base64.b64decode(text[7:]).decode()
            document = json.loads(text)
        except ValueError as error:
            raise Refused(key) from error
        if not isinstance(document, dict):
            raise Refused(key)
        extents, chunks = document.get("shape"), document.get("chunks")
        if name != ".zarray" or type(extents) is not list or type(chunks) is not list:
            continue
        whole = all(type(n) is int for n in (*extents, *chunks)) and len(extents) == len(chunks)
        # Arrays without elements have chunks of none, as VirtualiZarr writes them.
        even = whole and all(b > 0 or a == b == 0 for a, b in zip(extents, chunks, strict=True))
        if even and min(extents, default=0) >= 0:
            shape = tuple(-(-a // (b or 1)) for a, b in zip(extents, chunks, strict=True))
            separator = "/" if document.get("dimension_separator") == "/" else "."
            found[path] = shape or (1,), separator
            if not shape:
                found.scalars.add(path)
    return found


def owner_of(key, grids):
    """Return the array, and the position in its grid; None if the key is no chunk's.

    The position is None where the array ends before it, and no reader asks for the key.
    """
    parts = key.split("/")
    last = parts[-1].split(".")
    if not all(number(part) is not None for part in last):
        return None
    for length in range(len(parts)):
        path = "/".join(parts[:length])
        if path not in grids:
            continue
        between = parts[length:-1]
        if not all(number(part) is not None for part in between):
            continue
        if len(last) > 1 and between:
            continue
        shape, separator = grids[path]
        at = tuple(int(part) for part in (*between, *last))
        joined = "/" if between else "."
        if len(at) > 1 and joined != separator:
            raise Refused(key)
        outside = any(a >= b for a, b in zip(at, shape, strict=False))
        if len(at) != len(shape) or (outside and path in grids.scalars):
            raise Refused(key)
        return path, None if outside else at
    return None


def oracle(data):
    """Return everything that a document says, and the chunks of each of its arrays."""
    try:
        document = json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Refused("JSON") from error
    if not isinstance(document, dict) or document.twice:
        raise Refused("object")
    if "version" in document:
        templates = document.get("templates", {})
        refs = document.get("refs")
        if type(document["version"]) is bool or document["version"] != 1:
            raise Refused("version")
        if not isinstance(refs, dict) or not isinstance(templates, dict):
            raise Refused("refs")
        if not all(isinstance(text, str) for text in templates.values()):
            raise Refused("templates")
    else:
        refs, templates = document, None
        if isinstance(document.get("refs"), dict):
            raise Refused("version")
    if refs.twice:
        raise Refused("twice")
    grids = grids_of(refs)
    # So VirtualiZarr names the chunk of a scalar.
    named = [f"{key}0" if key.endswith("/") and key[:-1] in grids.scalars else key for key in refs]
    if len(set(named)) < len(named):
        raise Refused("twice")
    refs = dict(zip(named, refs.values(), strict=True))
    found = {}
    for key, value in refs.items():
        if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
            raise Refused(key)
        if ".." in key.split("\\"):
            raise Refused(key)
        found[key] = value_of(key, value, templates)
    chunks = {}
    for key in refs:
        if key.rpartition("/")[2] not in METADATA:
            owner = owner_of(key, grids)
            if owner and owner[1] is None:
                del found[key]
            else:
                chunks.setdefault(owner and owner[0], {})[owner and owner[1]] = found[key]
    return found, chunks


def everything(references):
    found = {}
    for key in references.keys():  # noqa: SIM118 - no mapping
        assert key not in found
        value = references.get(key)
        found[key] = value if isinstance(value, bytes) else tuple(value[:3])
    return found


def walked(references, path=""):
    """Return every key, from folder to folder."""
    folders, files = references.children(path)
    start = f"{path}/" if path else ""
    names = [f"{start}{name}" for name in files]
    for folder in folders:
        names += walked(references, f"{start}{folder}")
    return names


def check(data, window, *, sound=False):
    """Compare the parser, and what is made of it, with the oracle."""
    before, json_windows.WINDOW = json_windows.WINDOW, window
    try:
        try:
            want, chunks = oracle(data)
        except Refused:
            with pytest.raises(RefmakerError) as caught:
                parse(data, "doc.json")
            assert isinstance(caught.value, MetadataError | LimitError)
            assert caught.value.url == "doc.json"
            return False
        references = parse(data, "doc.json")
    finally:
        json_windows.WINDOW = before
    assert everything(references) == want
    assert sorted(walked(references)) == sorted(want)
    if None in chunks or "zarr.json" in {key.rpartition("/")[2] for key in want}:
        return True
    try:
        group = hierarchy.group_of(references, "doc.json")
    except RefmakerError:
        # Damaged metadata make no array; that is looked at elsewhere.
        assert not sound
        return True
    arrays = dict(group.arrays())
    for path, each in chunks.items():
        for at, value in each.items():
            array = arrays[path or "data"]
            got = array.chunks.get(at if array.shape else 0)
            assert got == (value if isinstance(value, bytes) else (*value[:2], value[2] or 0))
    assert sum(array.chunks.present for array in arrays.values()) == sum(map(len, chunks.values()))
    return True


def zarray(shape, separator="."):
    return {
        "zarr_format": 2, "shape": shape, "chunks": [1] * len(shape), "dtype": "<i2",
        "compressor": None, "fill_value": None, "order": "C", "filters": None,
        "dimension_separator": separator,
    }  # fmt: skip


class Writer:
    """Writes JSON as somebody or other might."""

    def __init__(self, rng, style):
        self.rng = rng
        self.style = style
        self.comma, self.colon, self.open, self.close = {
            "tight": (",", ":", "", ""),
            "python": (", ", ": ", "", ""),
            "lines": (",\n", ":", "", ""),
            "indented": (",\n  ", ": ", "\n\t", "\r\n"),
            "wide": (" , " + " " * 30, " :\t", " ", " "),
            "any": ("", "", "", ""),
        }[style]
        self.escapes = rng.choice(["none", "ascii", "slashes", "any"])

    def blank(self):
        if self.style != "any":
            return ""
        return "".join(self.rng.choice(["", "", " ", "\n", "\t", "\r\n"]) for _ in range(2))

    def string(self, text):
        if self.escapes == "any":
            return '"' + "".join(map(self.character, text)) + '"'
        made = json.dumps(text, ensure_ascii=self.escapes != "none" or not is_text(text))
        return made.replace("/", "\\/") if self.escapes == "slashes" else made

    def character(self, c):
        if self.rng.random() < 0.1 and ord(c) < 0x10000:
            return f"\\u{ord(c):04{self.rng.choice('xX')}}"
        if c == "/" and self.rng.random() < 0.3:
            return "\\/"
        return json.dumps(c, ensure_ascii=not is_text(c))[1:-1]

    def value(self, value):
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            inside = (
                f"{self.string(k)}{self.blank()}{self.colon or ':'}{self.blank()}{self.value(v)}"
                for k, v in value.items()
            )
            return self.around("{", inside, "}")
        if isinstance(value, list):
            return self.around("[", map(self.value, value), "]")
        return json.dumps(value)

    def around(self, left, parts, right):
        inside = f"{self.blank()}{self.comma or ','}{self.blank()}".join(parts)
        return f"{left}{self.open}{self.blank()}{inside}{self.blank()}{self.close}{right}"


def is_text(text):
    return not any(0xD800 <= ord(c) < 0xE000 for c in text)


PREFIXES = ["a", "b/c", "g/ü ber", 'q"u\\x', "img/0", "img/1", "7", "x2", "", "e\\", "日本/語"]
URLS = [
    "x", "s3://bucket/päth/f_{:05d}.nc", "/data/{:x}/end.h5", 'q"{}', "\\{}", '],"{}', "{{{{u}}}}/{}",
    "https://host/{}/a.nc?x=1&y={{{{v}}}}", "n" * 300 + "{}", "日{}", "{}\u2028", "",
]  # fmt: skip


@st.composite
def documents(draw):
    """Return the members of a document, and how it is written."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    refs = {".zgroup": '{"zarr_format": 2}'}
    for prefix in rng.sample(PREFIXES, rng.randint(1, 4)):
        start = f"{prefix}/" if prefix else ""
        rank = rng.choice([0, 1, 1, 2, 2, 3])
        shape = [rng.choice([1, 2, 5, 11]) for _ in range(rank)]
        separator = rng.choice("./")
        if rng.random() < 0.9 and prefix:
            document = zarray(shape, separator)
            refs[f"{start}.zarray"] = document if rng.random() < 0.3 else json.dumps(document)
            attributes = {
                "t": 'a "b" ],',
                "deep": {"x/0": ["u", 1, 2], "l": [[[{}]]]},
                "n": [1.5, None],
            }
            refs[f"{start}.zattrs"] = attributes if rng.random() < 0.3 else json.dumps(attributes)
        for _ in range(rng.choice([1, 5, 40])):
            at = [rng.randrange(extent) for extent in shape] or [0]
            key = start + separator.join(map(str, at))
            url = rng.choice(URLS[: rng.randint(1, len(URLS))]).format(rng.randrange(7))
            kind = rng.random()
            if kind < 0.1:
                refs[key] = [url]
            elif kind < 0.2:
                refs[key] = rng.choice([f'inl"ine\\ {rng.randrange(9)}', "base64:AAEC", {"k": [1]}])
            else:
                refs[key] = [url, rng.randrange(10 ** rng.randint(1, 18)), 1 + rng.randrange(10**9)]
    if rng.random() < 0.2:
        refs["README é.txt"] = "hello"
        refs["z/file1"] = ["u", 1, 2]
    if rng.random() < 0.1:
        # Something wrong in otherwise sound references.
        key = rng.choice(list(refs))
        wrong = [
            ["x", -1, 2],
            ["x", 1.5, 2],
            ["x", 0, 0],
            ["x", 1],
            [],
            5,
            None,
            ["x", 10**25, 1],
            ["{{w}}", 1, 2],
            "base64:!",
            ["x", True, 2],
        ]
        refs[key] = rng.choice(wrong)
    if rng.random() < 0.1:
        refs[
            rng.choice(
                [
                    "a//0",
                    "../x",
                    "a/01",
                    "a/99",
                    "a/0.0.0.0",
                    "b/c/1/1/1/1/1",
                    "/x",
                    "a/..",
                    "q",
                    "a/0/0",
                ]
            )
        ] = ["x", 1, 2]
    order = list(refs.items())
    if rng.random() < 0.7:
        rng.shuffle(order)
    refs = dict(sorted(order) if rng.random() < 0.2 else order)
    templates = {"u": "s3://bucket", "v": "1"}
    document = [
        ("version", 1),
        ("templates", templates),
        ("refs", refs),
        ("refmaker", {"refs": {"a": 1}}),
    ]
    rng.shuffle(document)
    whole = refs if rng.random() < 0.2 else dict(document)
    return whole, rng


STYLES = ("tight", "python", "lines", "indented", "wide", "any")


@given(documents(), st.sampled_from(STYLES), st.sampled_from(WINDOWS))
def test_any_layout_says_what_a_json_parser_says(document, style, window):
    whole, rng = document
    data = Writer(rng, style).value(whole).encode("utf-8", "surrogatepass")
    check(b" \n" * rng.randrange(3) + data + b"\n" * rng.randrange(2), window, sound=True)


@given(documents(), st.sampled_from(STYLES), st.sampled_from(WINDOWS), st.data())
def test_damaged_documents_are_refused_or_say_the_same(document, style, window, data):
    whole, rng = document
    text = bytearray(Writer(rng, style).value(whole).encode())
    for _ in range(data.draw(st.integers(1, 2))):
        at = rng.randrange(len(text))
        kind = rng.choice(["flip", "cut", "put", "put", "copy"])
        if kind == "flip":
            text[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del text[at : at + rng.choice([1, 1, 2, 30])]
        elif kind == "copy":
            text[at:at] = text[at : at + rng.choice([1, 5, 60])]
        else:
            text[at:at] = rng.choice(
                [b",", b'"', b"}", b"{", b"[", b"]", b" ", b"0", b"9", b"\\", b":", b".", b"/", b"\n", b"\0", b"-"]
            )  # fmt: skip
        if not text:
            return
    check(bytes(text), window)


def rows(count):
    return ",".join(f'"a/{i}":["x",{i + 1},2]' for i in range(count))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("count", [0, 1, 3, 200])
@pytest.mark.parametrize(
    "text",
    [
        '{"version":1,"refs":{ROWS}}', "{ROWS}", '{"refs":{ROWS},"version":1}',
        '{"version":1,"refs":{ROWS,}}', '{"version":1,"refs":{ROWS},}', "{ROWS,}", "{,ROWS}",
        '{"version":1,"refs":{ROWS ROWS}}', '{"version":1,"refs":{ROWS,ROWS}}',
        '{"version":1,"refs":{ROWS,"b/0":["x",1 2,3]}}', '{"version":1,"refs":{ROWS,"b/0":["x",1,2],}}',
        '{"version":1,"refs":{ROWS "b":"c",ROWS}}', '{"version":1,"refs":{ROWS,,"b":"c"}}',
        '{"version":1,"refs":{"b":"c" ROWS}}', '{"version":1,"refs":{"b":"c",ROWS,"b":"d"}}',
        '{"version":1,"refs":{ROWS],"a":1}', '{"version":1,"refs":{ROWS}]', "{ROWS]",
        '{"version":1,"r\\u0065fs":{ROWS}}', '{"version":1,"r\\u0065fs":{ROWS,ROWS}}',
        '{"version":1,"refs":{ROWS}', '{"version":1,"refs":{ROWS', '{"version":1,"refs":{ROWS}}}',
        '{"version":1,"refs":{ROWS}}x', '{"version":1,"refs":{ROWS}} {}', '{"version":1,"refs":{ROWS}}\n \n',
        '{"version":1,"refs":{"d":{ROWS}}}', '{"version":1,"refs":{"d":{"e":{ROWS},"f":[]}, "g/.zattrs":{ROWS}}}',
        '{"version":1,"refs":{ROWS},"refs":{ROWS}}', '{"version":1,"version":1,"refs":{ROWS}}',
        '{"version":1,"other":{"refs":{ROWS},"x":[{ROWS}]},"refs":{ROWS}}', '{"refs":{ROWS}}',
        '{"version":1,"ref\\u0073":{ROWS}}', '{"version":1,"refs":{ROWS,"b/0":["x",007,2]}}',
        '{"version":1,"refs":{ROWS,"b/0":["x",1,2]]}}', '{"version":1,"refs":{ROWS,"b/0":["x",[1,2}}}',
        '{"version":1,"refs":{ROWS,"b\\n":["x",1,2]}}', '{"version":1,"refs":{ROWS,"b\n":["x",1,2],ROWS}}',
        '{"version":1,"refs":{ROWS,"b/0":["x\n",1,2],"c":"d"}}', '{"version":1,"refs":{ROWS,"b/0":["\\q",1,2],"c":"d"}}',
        '{"version":1,"refs":{ROWS,"b/0":["x",99999999999999999999,2],"c":"d"}}',
        '{"version":1,"refs":{ROWS,"b/0":["x",1234567890123456,12345678901234567],"c":"d"}}',
        '{"version":1,"refs":{ROWS,"b/0.\\/0":["x",1,2],"b\\/1":["\\u0078",1,2],"c":"d"}}',
        '{"version":1,"refs":{ROWS,"b/1":["y",NaN,2]}}', '{"version":1,"refs":{"b/.zattrs":{"x":NaN},ROWS}}',
    ],
    ids=str,
)  # fmt: skip
def test_edges(text, count, window):
    check(text.replace("ROWS", rows(count)).encode(), window)


def test_a_byte_is_named_where_it_is_not_json():
    data = f'{{"version":1,"refs":{{{rows(300)} "b":1}}}}'.encode()
    with pytest.raises(
        MetadataError, match=f"at byte {data.index(b' ')}|at byte {data.index(b' ') + 1}"
    ):
        parse(data)
    data = data.replace(b' "b":1', b"") + b" x"
    with pytest.raises(MetadataError, match=f"more text .* byte {len(data) - 1}"):
        parse(data)


def test_keys_that_are_there_twice_are_named():
    for text in (f'{{{rows(300)},"a/7":["y",1,2]}}', f'{{"q":"1",{rows(300)},"q":"2"}}'):
        with pytest.raises(MetadataError, match="twice") as caught:
            parse(text.encode())
        assert caught.value.path in ("a", "q")


@pytest.mark.parametrize(
    "where", ["{}", '{{"version":1,"refs":{}}}', '{{"version":1,"other":{},"refs":{{}}}}']
)
@pytest.mark.parametrize("left", ["[", '{"x":'])
def test_deep_values_are_refused_before_they_are_parsed(where, left):
    right = {"[": "]", '{"x":': "}"}[left]
    deep = '{"a":' + left * 100_000 + "1" + right * 100_000 + "}"
    with pytest.raises(LimitError, match="64 deep"):
        parse(where.format(deep).encode())
    with pytest.raises(LimitError, match="64 deep"):
        parse(
            json.dumps({"version": 1, "refs": {"a/.zattrs": left * 90 + "1" + right * 90}}).encode()
        )
    fine = '{"a":' + left * 50 + "1" + right * 50 + "}"
    assert parse(f'{{"version":1,"refs":{{".zattrs":{fine}}}}}'.encode()).get(".zattrs")


def test_many_paths_are_kept_one_by_one():
    refs = {f"{i}x/0": ["u", 1, 2] for i in range(400)}
    refs |= {"a/.zarray": json.dumps(zarray([1])), "a/0": ["u", 1, 2], "b/1/2": ["u", 3, 4]}
    want = {key: tuple(value) for key, value in refs.items() if key != "a/.zarray"}
    for limit in (100, 1000):
        found = parse(json.dumps(refs).encode(), limits=Limits(tables=limit))
        assert len(found.tables) == {100: 1, 1000: 402}[limit]
        everything_else = everything(found)
        del everything_else["a/.zarray"]
        assert everything_else == want


@pytest.mark.parametrize(
    "text",
    [
        "{" + ",".join(f'"{i}x/0":["u",1,2]' for i in range(100_000)) + "}",
        '{"a":[' + ",".join(["{}"] * 300_000) + "]}",
        '{"a":["' + '\\"' * 300_000 + '"]}',
    ],
    ids=["paths", "objects", "quotes"],
)
def test_memory_is_a_multiple_of_the_text(text):
    tracemalloc.start()
    try:
        with contextlib.suppress(RefmakerError):
            parse(text.encode())
        assert tracemalloc.get_traced_memory()[1] <= MEMORY * len(text) + BASE
    finally:
        tracemalloc.stop()
