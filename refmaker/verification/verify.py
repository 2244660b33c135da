"""Whether the virtual store says what the format's own library says.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.storage.reference_set import ReferenceSet
from refmaker.verification.compare import ArrayCheck, ArrayChecks, chosen_chunks, same_values
from refmaker.verification.sources import SourceCheck, check_sources

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["ArrayCheck", "SourceCheck", "check_sources", "same_values", "verify"]

SAMPLE = 16
"""Chunks of each array that are compared unless more are asked for."""


def verify(  # noqa: PLR0913 - each is a choice of its own
    refs: ReferenceSet | str | os.PathLike[str],
    *,
    sample: int | None = SAMPLE,
    storage_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    jobs: int = 1,
    isolate: str = "auto",
    timeout: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ArrayChecks:
    """Compare each array, chunk by chunk and bit for bit, with the files it was made from.

    One side is read as references, the other by the library that the format's scanner calls its
    own. Chunks that were never written are compared too: they must read as the value that the
    library gives for them. In a set that was combined from many files, or made by others, each
    chunk is looked up in the file that it points into, by its place there; joined coordinates and
    other values that the set keeps itself are read again from the files (from 1024 of them,
    where there are more and `sample` is not None). Of sets of this package, attributes that
    decide what values mean are compared, too.

    Both sides are read in worker processes: a library that aborts, hangs, or wants more memory
    than a worker gets costs the array that it was reading, which is told. Chunks larger than an
    eighth of a worker's memory (512 MiB) are not compared, and that is told, too.

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
    isolate : {"auto", "never"}
        Whether to compare in worker processes, or in this one, which nothing protects then.
    timeout : float, optional
        Seconds that a worker gets for up to 32 chunks of an array; 1800 by default.
    on_progress : callable, optional
        Called now and then with how many chunks are done, and how many there are.

    Returns
    -------
    ArrayChecks
        A list of `ArrayCheck`, one for each array in the order of the set.

    Raises
    ------
    SourceError
        If the reference file or the scanned file cannot be read.
    MetadataError
        If `refs` is no reference set, or does not say what was scanned.
    UnknownFormatError
        If no scanner recognises the scanned file.
    ValueError
        If `jobs` is not positive, `isolate` is no such word, or "never" beside `timeout` or
        several `jobs`.

    Examples
    --------
    >>> checks = refmaker.verify(refmaker.scan("examples/air.nc"))
    >>> checks
    <ArrayChecks of 4 arrays: 4 equal>
    >>> checks.ok
    True
    """
    from refmaker.verification.oracle import source_files
    from refmaker.verification.run import compare_apart, compare_here

    if jobs < 1:
        raise ValueError(f"jobs is {jobs}, not a positive number")
    if isolate not in ("auto", "never"):
        raise ValueError(f"isolate is {isolate!r}, not 'auto' or 'never'")
    if isolate == "never" and (timeout is not None or jobs > 1):
        raise ValueError("isolate='never' forbids the processes that jobs and timeout need")
    if not isinstance(refs, ReferenceSet):
        refs = ReferenceSet.read(refs)
    policy = refs.policy
    if policy.remote:
        policy.check_urls(refs.urls())
    source_files(refs)
    work = [(path, chosen_chunks(array, path, sample, seed)) for path, array in refs.group.arrays()]
    tell = on_progress or (lambda _done, _total: None)
    whole = sample is None
    if isolate == "never":
        return ArrayChecks(compare_here(refs, work, storage_options, tell, whole=whole))
    found = compare_apart(
        refs, work, storage_options, tell, whole=whole, jobs=jobs, timeout=timeout
    )
    return ArrayChecks(found)
