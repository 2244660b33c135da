"""Whether the virtual store says what the format's own library says.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.storage.reference_set import ReferenceSet
from refmaker.verification.compare import ArrayCheck, chosen_chunks, same_values
from refmaker.verification.sources import SourceCheck, check_sources

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["ArrayCheck", "SourceCheck", "check_sources", "same_values", "verify"]

SAMPLE = 16
"""Chunks of each array that are compared unless more are asked for."""


def verify(
    refs: ReferenceSet | str | os.PathLike[str],
    *,
    sample: int | None = SAMPLE,
    storage_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ArrayCheck]:
    """Compare each array, chunk by chunk and bit for bit, with the files it was made from.

    One side is read as references, the other by the library that the format's scanner calls its
    own. Chunks that were never written are compared too: they must read as the value that the
    library gives for them. In a set that was combined from many files, or made by others, each
    chunk is looked up in the file that it points into, by its place there.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set of this package, kerchunk or VirtualiZarr, or the path or URL of one.
    sample : int, optional
        Chunks of each array to compare, chosen at random with the first and the last among
        them; None compares all.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    seed : int
        Decides which chunks are chosen.
    jobs : int
        Processes to compare in.
    on_progress : callable, optional
        Called now and then with how many chunks are done, and how many there are.

    Returns
    -------
    list of ArrayCheck
        One for each array, in the order of the set.

    Raises
    ------
    SourceError
        If the reference file or the scanned file cannot be read.
    MetadataError
        If `refs` is no reference set, or does not say what was scanned.
    UnknownFormatError
        If no scanner recognises the scanned file.
    ValueError
        If `jobs` is not positive.
    """
    from refmaker.verification.parallel import compare, compare_apart

    if jobs < 1:
        raise ValueError(f"jobs is {jobs}, not a positive number")
    if not isinstance(refs, ReferenceSet):
        refs = ReferenceSet.read(refs)
    work = [(path, chosen_chunks(array, path, sample, seed)) for path, array in refs.group.arrays()]
    tell = on_progress or (lambda _done, _total: None)
    if jobs == 1:
        return compare(refs, work, storage_options, tell)
    return compare_apart(refs, work, storage_options, tell, jobs)
