"""Rows formatted in bulk against rows formatted one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.storage import text
from refmaker.storage.text import format_rows

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("%s"), max_size=6
)
NUMBERS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 200),
    st.sampled_from([0, 9, 10, 99, 100, 10**9 - 1, 10**9, 2**32 - 1, 2**32, 10**19, 2**64 - 1]),
)


def one_by_one(parts, n):
    rows = []
    for row in range(n):
        for part in parts:
            if isinstance(part, str):
                rows.append(part)
            elif isinstance(part, tuple):
                rows.append(part[1][part[0][row]])
            else:
                rows.append(str(int(part[row])))
    return "".join(rows).encode()


@st.composite
def tables(draw):
    n = draw(st.integers(0, 20))
    parts = []
    for kind in draw(st.permutations("nst" + draw(st.sampled_from(["", "n", "nt", "ss"])))):
        if kind == "s":
            parts.append(draw(WORDS))
        elif kind == "n":
            column = draw(st.lists(NUMBERS, min_size=n, max_size=n))
            parts.append(np.array(column, np.uint64))
        else:
            names = draw(st.lists(WORDS, min_size=1, max_size=3))
            numbers = st.lists(st.integers(0, len(names) - 1), min_size=n, max_size=n)
            parts.append((np.array(draw(numbers), np.int32), names))
    return parts, n


@given(tables(), st.sampled_from([1, 3, 1 << 15]), st.sampled_from([0, 512]))
def test_rows(table, batch, few):
    parts, n = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "FEW", few)
        patch.setattr(text, "BATCH", batch)
        assert b"".join(format_rows(parts)) == one_by_one(parts, n)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("few", [0, 512])
def test_every_width_and_type(dtype, few, monkeypatch):
    monkeypatch.setattr(text, "FEW", few)
    top = np.iinfo(dtype).max
    column = np.array([10**p for p in range(20) if 10**p <= top] + [0, top], dtype)
    for value in column:
        assert b"".join(format_rows(["<", np.array([value]), ">"])) == f"<{value}>".encode()
    assert b"".join(format_rows([column, ","])) == one_by_one([column, ","], column.size)


def test_many_batches():
    n = 3 * text.BATCH + 5
    column = np.arange(n, dtype=np.uint64) * np.uint64(12345)
    pieces = list(format_rows([column, "\n"]))
    assert len(pieces) == 4
    assert b"".join(pieces) == one_by_one([column, "\n"], n)


def test_rows_without_a_column():
    with pytest.raises(ValueError, match="number of rows"):
        list(format_rows(["a", "b"]))
