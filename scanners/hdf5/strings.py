"""Values that lie scattered over heaps: strings of varying length, and object references.

Chunks of such data hold addresses of a global heap, so no byte range of theirs means anything
outside the HDF5 library. They are read while scanning and inlined, within a budget.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import h5py

from refmaker.errors import LimitError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.model.inline import TEXTS, encode_texts
from refmaker.scanners.hdf5.types import ValueStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["CODEC", "read_strings", "string_chunks", "text_of"]

CODEC = dict(TEXTS)
_PIECE = 256 * 1024
"""Text bytes wanted in one inlined chunk."""
_STEP = 4096
"""Elements read at a time: what one read may bring is bounded by it."""


def read_strings(
    dataset: OpenDataset, budget: int, path_of: Callable[[Any], str], warn: Callable[[str], None]
) -> list[str]:
    """Return all elements as strings, in C order.

    Parameters
    ----------
    dataset : OpenDataset
        A dataset of variable-length strings or of object references.
    budget : int
        Bytes of text that may be read.
    path_of : callable
        Gives the path of a referenced object.
    warn : callable
        Is told about doubtful text.

    Raises
    ------
    LimitError
        If there is more than the budget allows.
    """
    count = math.prod(dataset.shape)
    if count * dataset.element.itemsize > budget:
        raise LimitError(
            f"{count} strings are more than the {budget} bytes that may be inlined",
            hint="raise `inline_budget`",
        )
    texts: list[str] = []
    spent = 0
    for values in _slices(dataset, count):
        for value in values:
            text = _text(value, dataset, path_of, warn)
            texts.append(text)
            spent += len(text)
        if spent > budget:
            raise LimitError(
                f"its strings have more than the {budget} bytes that may be inlined",
                hint="raise `inline_budget`",
            )
    return texts


def _slices(dataset: OpenDataset, count: int) -> Iterator[list[Any]]:
    high = h5py.Dataset(dataset.id)
    if not count:
        return
    if not dataset.shape:
        yield [high[()]]
        return
    row = count // dataset.shape[0]
    rows = max(1, _STEP // max(row, 1))
    for start in range(0, dataset.shape[0], rows):
        yield high[start : start + rows].reshape(-1).tolist()


def _text(
    value: Any, dataset: OpenDataset, path_of: Callable[[Any], str], warn: Callable[[str], None]
) -> str:
    if dataset.element.form is ValueStorage.REFERENCES:
        return path_of(value)
    return text_of(value, dataset.path, warn)


def text_of(value: Any, path: str, warn: Callable[[str], None]) -> str:
    """Return what ought to be UTF-8 as text, from the dataset at a path."""
    if isinstance(value, str):
        return value
    raw = bytes(value)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        warn(f"{path}: strings that are not UTF-8 were read as Latin-1")
        return raw.decode("latin-1")


def string_chunks(texts: list[str], shape: tuple[int, ...]) -> tuple[tuple[int, ...], ChunkTable]:
    """Return chunk shape and table of strings that are inlined whole.

    Parameters
    ----------
    texts : list of str
        All elements in C order.
    """
    whole = tuple(max(1, extent) for extent in shape)
    nbytes = sum(map(len, texts)) + 4 * len(texts)
    rows = whole[0] if shape else 1
    step = max(1, rows * _PIECE // max(nbytes, 1)) if shape else 1
    chunk = (min(step, rows), *whole[1:]) if shape else ()
    grid = chunk_grid(shape, chunk)
    size = math.prod(chunk)
    chunks = {
        number: encode_texts([*texts[start : start + size], *[""] * (start + size - len(texts))])
        for number, start in enumerate(range(0, len(texts), size))
    }
    return chunk, ChunkTable.inline(grid, chunks)
