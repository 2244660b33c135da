"""Following image file directories through a file: the main chain, and SubIFDs below it.

Each directory ends with the offset of the next. Where they turn up at equal distances, the
following ones are read together, and taken only as far as the chain really leads from one to
the next: what is found is what a walk one by one would find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, RefmakerError, TruncatedError
from refmaker.scanners.tiff.blocks import read_rows
from refmaker.scanners.tiff.ifd_entries import SIZES
from refmaker.scanners.tiff.raw_directories import RawDirectories, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.ifd_entries import Format

__all__ = ["following", "read_below", "walk"]

REGULAR = 8
"""Equal distances between directories after which the next ones are guessed."""
BATCH = 8192
"""Directories that are read together at most."""
_NEAR = 4096
"""Bytes of a remote file fetched with a directory: its values usually lie right behind it."""
_TAIL = 1024
"""Bytes behind a directory that are read with it if values lie there."""


def walk(pile: RawDirectories, offset: int, trust: bool = False) -> None:
    """Read the main chain from its first directory on.

    Parameters
    ----------
    pile : RawDirectories
        Where the directories go; `troubles` gets what ends the chain too early.
    offset : int
        Of the first directory.
    trust : bool
        Whether directories at equal distances may be inferred from a sample; see `stride`.

    Raises
    ------
    FormatError, TruncatedError
        If not even the first directory can be read.
    """
    remote = pile.source.path is None
    equal, step, size = 0, 0, 0
    while offset:
        number = pile.count
        if pile.knows(offset):
            reason = f"the chain leads back to the directory at byte {offset}"
            pile.troubles.append(Trouble(f"/page/{number}", reason, "cycle"))
            return
        if remote:
            pile.source.prefetch([(offset, _NEAR)])
        try:
            data, after = pile.read(offset)
            same = after - offset == step and len(data) == size
            equal, step, size = equal + 1 if same else 0, after - offset, len(data)
            if after and equal >= REGULAR and step >= size and not pile.many_runs:
                after = _run(pile, data, offset, step, trust=trust)
                equal = 0
        except FormatError as error:
            if number == 0:
                raise
            pile.troubles.append(Trouble(f"/page/{pile.count}", error.message, _code(error)))
            return
        offset = after


def _run(pile: RawDirectories, model: bytes, offset: int, step: int, *, trust: bool) -> int:
    """Read on where directories like one before lie at equal distances; return where to go on."""
    size, batch = len(model), 4 * REGULAR
    tail = _tail(model, offset, pile.form)
    after = offset + step
    if trust and pile.source.path is None:
        from refmaker.scanners.tiff.ifd_inference import infer_ifds

        after = infer_ifds(pile, after, step, size, tail)
    while after:
        room = (pile.source.size - after - size - tail) // step + 1
        offsets = after + step * np.arange(max(0, min(batch, room)), dtype=np.int64)
        offsets = offsets[: pile.unknown(offsets)]
        if offsets.size < 2:
            break
        rows = read_rows(pile.source, offsets, size + tail)
        good, onward = following(rows, offsets, step, size, pile.form)
        if good:
            pile.add_run(after, step, rows[:good], size)
            after = onward
        if good < offsets.size or onward != int(offsets[-1]) + step:
            break
        batch = min(2 * batch, BATCH)
    return after


def following(
    rows: NDArray[np.uint8], offsets: NDArray[np.int64], step: int, size: int, form: Format
) -> tuple[int, int]:
    """Tell how far directories that were guessed are those of the chain.

    Parameters
    ----------
    rows : ndarray of uint8, shape (n, at least `size`)
        What was read; the chain is known to lead to the first.
    offsets : ndarray of int64, shape (n,)
        Where.
    size : int
        Bytes that each is expected to have.

    Returns
    -------
    int
        How many are directories of that length, each named by the one before it.
    int
        Where the last of those leads to.
    """
    entries = (size - form.lead - form.word) // form.entry
    lead = np.ascontiguousarray(rows[:, : form.lead]).view(f"{form.byteorder}u{form.lead}")
    onward = np.ascontiguousarray(rows[:, size - form.word : size])
    onward = onward.view(f"{form.byteorder}u{form.word}")[:, 0].astype(np.uint64)
    whole = lead[:, 0] == entries
    leads_on = onward == (offsets + step).astype(np.uint64)
    fails = np.flatnonzero(~whole)
    good = int(fails[0]) if fails.size else len(rows)
    ends = np.flatnonzero(~leads_on[:good])
    if ends.size:
        good = int(ends[0]) + 1
    return good, int(onward[good - 1]) if good else 0


def _tail(model: bytes, offset: int, form: Format) -> int:
    """Return how many bytes behind a directory hold values of its entries, if not too many."""
    size, tail = len(model), 0
    for at in range(form.lead, size - form.word, form.entry):
        entry = model[at : at + form.entry]
        kind, count = form.integer(entry[2:4]), form.integer(entry[4 : 4 + form.word])
        nbytes = count * int(SIZES[kind])
        end = form.integer(entry[4 + form.word :]) + nbytes - offset - size
        if nbytes > form.word and nbytes < end + 1 and end <= _TAIL:
            tail = max(tail, end)
    return tail


def read_below(pile: RawDirectories, first: int, wanted: Sequence[Sequence[int]]) -> None:
    """Read the SubIFDs of some pages.

    Parameters
    ----------
    first : int
        The first page.
    wanted : sequence of sequence of int
        For it and those after it the offsets that their SubIFDs tags list.
    """
    pile.source.prefetch([(offset, _NEAR) for offsets in wanted for offset in offsets])
    named = {offset for offsets in wanted for offset in offsets}
    for page, offsets in enumerate(wanted, first):
        for k, offset in enumerate(offsets):
            path = f"/page/{page}/{k}"
            if pile.knows(offset):
                reason = f"its directory, at byte {offset}, belongs to another page, too"
                pile.troubles.append(Trouble(path, reason, "cycle"))
                continue
            try:
                _, after = pile.read(offset, page)
            except FormatError as error:
                pile.troubles.append(Trouble(path, error.message, _code(error)))
                continue
            if after and after not in named and not pile.knows(after):
                reason = f"another directory follows it at byte {after}, which is not read"
                pile.troubles.append(Trouble(f"{path}/next", reason, "chained"))


def _code(error: RefmakerError) -> str:
    return "truncated" if isinstance(error, TruncatedError) else "damaged"
