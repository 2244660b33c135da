"""Hypothesis strategies for reference sets; needs the package ``hypothesis``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.zarr_v2 import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "arrays",
    "chunk_tables",
    "dtypes",
    "fill_values",
    "grids",
    "groups",
    "json_values",
    "names",
    "urls",
]

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def grids(max_dims: int = 3, max_side: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """Chunk grids, scalars and empty ones among them."""
    return st.lists(st.integers(0, max_side), max_size=max_dims).map(tuple)


def urls() -> st.SearchStrategy[str]:
    """Paths and URLs that references can name; with all the characters that cause trouble."""
    part = st.text(st.sampled_from("ab %{}é\"'\\?#&=+:,;@日-_."), min_size=1, max_size=12)
    prefix = st.sampled_from(["/data/", "s3://bucket/", "https://host/path/", "file:///"])
    return st.builds(str.__add__, prefix, part).filter(lambda url: "{{" not in url)


def names() -> st.SearchStrategy[str]:
    """Names of arrays and groups."""
    return st.one_of(
        st.sampled_from(["a", "temperature", "0", "x y", 'q"uote', "back\\slash", "日本"]),
        _TEXT.filter(lambda name: name not in ("", ".", "..") and "/" not in name),
    ).filter(lambda name: not name.startswith(".z") and name != "zarr.json")


def json_values() -> st.SearchStrategy[Any]:
    """Values that JSON holds exactly."""
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        _TEXT,
    )
    return st.recursive(
        scalars,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(_TEXT, below, max_size=3),
        max_leaves=6,
    )


@st.composite
def chunk_tables(
    draw: st.DrawFn,
    grid: Sequence[int] | None = None,
    *,
    whole: bool = True,
    inlined: bool = True,
    max_length: int = 2**33,
) -> ChunkTable:
    """Chunk tables: sparse or full, of one file or several, with and without inlined chunks.

    Parameters
    ----------
    grid : sequence of int, optional
        The grid; any by default.
    whole : bool
        Whether rows may mean a whole file.
    inlined : bool
        Whether chunks may be inlined.
    max_length : int
        Most bytes of a chunk.
    """
    shape = draw(grids()) if grid is None else tuple(grid)
    total = math.prod(shape)
    kinds = st.sampled_from("rrr-i" if inlined else "rrr-")
    full = draw(st.booleans())
    kind = ["r"] * total if full else draw(st.lists(kinds, min_size=total, max_size=total))
    files = tuple(draw(st.lists(urls(), min_size=1, max_size=3, unique=True)))
    index = [number for number in range(total) if kind[number] == "r"]
    n = len(index)
    spans = st.tuples(st.integers(0, 2**50), st.integers(1, max_length))
    rows = draw(st.lists(spans | st.just((0, 0)) if whole else spans, min_size=n, max_size=n))
    numbers = st.integers(0, len(files) - 1)
    return ChunkTable.from_columns(
        shape,
        files,
        offset=np.array([offset for offset, _ in rows], np.uint64),
        length=np.array([length for _, length in rows], np.uint64),
        index=np.array(index, np.uint64),
        url=np.array(draw(st.lists(numbers, min_size=n, max_size=n)), np.int32),
        inlined={
            number: draw(st.binary(max_size=8)) for number in range(total) if kind[number] == "i"
        },
    )


def dtypes() -> st.SearchStrategy[np.dtype[Any]]:
    """Element types that Zarr version 2 can name."""
    simple = st.one_of(
        npst.boolean_dtypes(),
        npst.integer_dtypes(endianness="?"),
        npst.unsigned_integer_dtypes(endianness="?"),
        npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
        npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        npst.byte_string_dtypes(endianness="?", min_len=1, max_len=6),
        npst.unicode_string_dtypes(endianness="?", min_len=1, max_len=6),
        npst.datetime64_dtypes(endianness="?"),
        npst.timedelta64_dtypes(endianness="?"),
        st.integers(1, 5).map(lambda size: np.dtype(f"V{size}")),
    )
    field = st.tuples(_TEXT.filter(bool), simple)
    records = st.lists(field, min_size=1, max_size=3, unique_by=lambda item: item[0]).map(np.dtype)
    return simple | records


def fill_values(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    """Scalars of a type, and None; NaN, infinities and NaT among them."""
    return st.none() | _scalars(dtype)


def _scalars(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    if dtype.names is not None:
        fields = st.tuples(*(_scalars(dtype[name]) for name in dtype.names))
        return fields.map(lambda values: np.array(values, dtype)[()])
    if dtype.kind == "V":
        size = dtype.itemsize
        raw = st.binary(min_size=size, max_size=size)
        return raw.map(lambda data: np.frombuffer(data, dtype)[0])
    return npst.from_dtype(dtype)


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Arrays of any type and shape."""
    shape = draw(st.lists(st.integers(0, 12), max_size=3).map(tuple))
    chunks = tuple(draw(st.integers(1, max(1, extent))) for extent in shape)
    dtype = draw(dtypes())
    named = draw(st.booleans())
    codec = st.sampled_from([None, {"id": "zlib", "level": 1}])
    filters = st.lists(st.just({"id": "shuffle", "elementsize": 4}), max_size=2)
    attributes = st.dictionaries(_TEXT.filter(lambda key: key != DIMENSIONS), json_values())
    return Array(
        shape,
        chunks,
        dtype,
        draw(chunk_tables(chunk_grid(shape, chunks))),
        fill_value=draw(fill_values(dtype)),
        order=draw(st.sampled_from("CF")),
        filters=tuple(draw(filters)),
        compressor=draw(codec),
        dimension_names=tuple(f"d{i}" for i in range(len(shape))) if named else None,
        attributes=draw(attributes),
    )


def groups() -> st.SearchStrategy[Group]:
    """Draw groups of arrays and groups."""
    attributes = st.dictionaries(_TEXT, json_values(), max_size=3)
    return st.recursive(
        st.builds(Group, st.dictionaries(names(), arrays(), max_size=2), attributes),
        lambda below: st.builds(
            Group, st.dictionaries(names(), below | arrays(), max_size=3), attributes
        ),
        max_leaves=3,
    )
