"""Whether the virtual store says what the format's own library says.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, RefmakerError, UnknownFormatError
from refmaker.scanner import SNIFF_BYTES, choose
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from zarr.abc.store import Store

    from refmaker.model import Array
    from refmaker.scanner import Native, Scanner

__all__ = ["ArrayCheck", "same_values", "verify"]

log = logging.getLogger("refmaker.verify")

SAMPLE = 16
"""Chunks of each array that are compared unless more are asked for."""


@dataclass(frozen=True, slots=True)
class ArrayCheck:
    """What comparing one array came to.

    Parameters
    ----------
    path : str
        Its path in the reference set.
    chunks : int
        Chunks of its grid.
    compared, equal, different : int
        Chunks whose native values were at hand, and how they compare, bit for bit. A chunk
        that the references cannot read is different.
    reason : str
        Why the first chunk differs, or why chunks could not be compared; else empty.
    """

    path: str
    chunks: int
    compared: int = 0
    equal: int = 0
    different: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether chunks were compared, if there are any, and all of them are equal."""
        return not self.different and not self.reason

    def as_dict(self) -> dict[str, Any]:
        """Return the check as a JSON object, in the form that ``verify --json`` prints."""
        return {
            "path": self.path,
            "chunks": self.chunks,
            "compared": self.compared,
            "equal": self.equal,
            "different": self.different,
            "reason": self.reason,
        }


def verify(
    refs: ReferenceSet | str | os.PathLike[str],
    *,
    sample: int | None = SAMPLE,
    storage_options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> list[ArrayCheck]:
    """Compare each array, chunk by chunk and bit for bit, with the scanned file.

    One side is read through fsspec's reference filesystem and zarr, the other by the library
    that the format's scanner calls its own. Chunks that were never written are compared too:
    they must read as the value that the library gives for them.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one.
    sample : int, optional
        Chunks of each array to compare, chosen at random with the first and the last among
        them; None compares all.
    storage_options : mapping, optional
        Passed to fsspec for the file that holds the data.
    seed : int
        Decides which chunks are chosen.

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
    """
    from refmaker.opening import open_store
    from refmaker.source import Source

    if not isinstance(refs, ReferenceSet):
        refs = ReferenceSet.read(refs)
    url, scanner = _scanned(refs, storage_options)
    log.info("comparing with %s, read as %s", url, scanner.name)
    store = open_store(refs.group, storage_options)
    with Source(url, storage_options) as source:
        known = refs.report.sources.get(url)
        if known is not None and known.size != source.size:
            log.warning("%s had %d bytes when scanned, now %d", url, known.size, source.size)
        with scanner.native(source) as native:
            return [
                _compare_array(path, array, store, native, _chosen(array, path, sample, seed))
                for path, array in refs.group.arrays()
            ]


def _scanned(refs: ReferenceSet, storage_options: Mapping[str, Any] | None) -> tuple[str, Scanner]:
    """Return the file that was scanned, and its scanner.

    A set may point into several files, such as those of external storage; the scanned one
    is the first in its list that the scanner recognises.
    """
    from refmaker.source import Source

    failure: RefmakerError | None = None
    for url in _candidates(refs):
        with Source(url, storage_options) as source:
            head = source.read_upto(0, SNIFF_BYTES)
        try:
            scanner = choose(head, url, refs.report.format or None)
            if scanner.sniff(head, url) > 0:
                return url, scanner
        except UnknownFormatError as error:
            failure = error
    if failure is not None:
        raise failure
    raise MetadataError(
        "the reference set does not say which file was scanned",
        url=refs.report.url or None,
        hint="scan the file again, and verify what that gives",
    )


def _candidates(refs: ReferenceSet) -> list[str]:
    known = list(refs.report.sources)
    if refs.report.url in known:
        return [refs.report.url]
    if known:
        return known
    # Of a set that others wrote, the file with most chunks is the likeliest.
    votes: Counter[str] = Counter()
    for _, array in refs.group.arrays():
        for url in array.chunks.urls:
            votes[url] += array.chunks.referenced
    return [url for url, _ in votes.most_common()]


def _chosen(array: Array, path: str, sample: int | None, seed: int) -> Sequence[int]:
    """Return the flat numbers of the chunks to compare, ascending."""
    total = array.chunks.size
    if sample is None or sample >= total:
        return range(total)
    if sample < 3:
        return [0, total - 1][:sample]
    # Not seeded by the array's place in the set, so that other arrays do not change the choice.
    inner = random.Random(f"{seed}/{path}").sample(range(1, total - 1), sample - 2)  # noqa: S311
    return [0, *sorted(inner), total - 1]


def _regions(array: Array, numbers: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield the elements of each chunk, clipped to the array's shape."""
    import numpy as np

    for number in numbers:
        at = np.unravel_index(number, array.chunks.grid) if array.shape else ()
        yield tuple(
            slice(int(i) * part, min((int(i) + 1) * part, extent))
            for i, part, extent in zip(at, array.chunk_shape, array.shape, strict=True)
        )


def _compare_array(
    path: str, array: Array, store: Store, native: Native, numbers: Sequence[int]
) -> ArrayCheck:
    import zarr

    compared = equal = 0
    reason = native_reason = ""
    try:
        virtual: Any = zarr.open_array(store, path=path, mode="r", zarr_format=2)
    except Exception as error:  # noqa: BLE001 - whatever zarr or a codec does costs one array
        return ArrayCheck(path, array.chunks.size, reason=f"zarr cannot open it: {_told(error)}")
    for region in _regions(array, numbers):
        try:
            true = native.read(path, array, region)
        except Exception as error:  # noqa: BLE001 - the format's library may raise anything
            native_reason = native_reason or f"no native values: {_told(error)}"
            continue
        compared += 1
        difference = _difference(array, virtual, true, region)
        equal += not difference
        reason = reason or difference
    return ArrayCheck(
        path, array.chunks.size, compared, equal, compared - equal, reason or native_reason
    )


def _difference(array: Array, virtual: Any, true: NDArray[Any], region: tuple[slice, ...]) -> str:
    """Return how the region's values differ; empty if they do not."""
    import numpy as np

    where = ", ".join(f"{part.start}:{part.stop}" for part in region)
    try:
        read = np.asarray(virtual[region])
    except Exception as error:  # noqa: BLE001 - a codec or filesystem may raise anything
        return f"[{where}] cannot be read: {_told(error)}"
    true = np.asarray(true)
    if read.shape != true.shape:
        return f"[{where}] has shape {read.shape}, natively {true.shape}"
    for name, values in (("", read), ("natively ", true)):
        if not _fits(values.dtype, array.dtype):
            return f"[{where}] is {name}{values.dtype}, not {array.dtype}"
    if not same_values(read.astype(array.dtype, copy=False), true.astype(array.dtype, copy=False)):
        return f"[{where}] has other values"
    return ""


def _fits(dtype: np.dtype[Any], expected: np.dtype[Any]) -> bool:
    """Whether values of a dtype are those of another in a different byte order at most."""
    if expected.kind == "O":
        # zarr gives variable-length strings in numpy's own string type.
        return dtype.kind in "OTU"
    return dtype.newbyteorder("=") == expected.newbyteorder("=")


def same_values(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Tell whether two arrays of one shape and dtype hold the same values.

    By bytes, so that the payloads of NaN and the sign of zero count; objects by equality.
    """
    import numpy as np

    if left.dtype.names is not None:
        # Field by field: what lies between fields has no meaning.
        return all(same_values(left[name], right[name]) for name in left.dtype.names)
    if left.dtype.hasobject:
        return all(_same_object(a, b) for a, b in zip(left.flat, right.flat, strict=True))
    raw = np.ascontiguousarray(left).tobytes(), np.ascontiguousarray(right).tobytes()
    return raw[0] == raw[1]


def _same_object(left: Any, right: Any) -> bool:
    import numpy as np

    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        left, right = np.asarray(left), np.asarray(right)
        return left.shape == right.shape and left.dtype == right.dtype and same_values(left, right)
    return type(left) is type(right) and bool(left == right)


def _told(error: BaseException) -> str:
    """Return an exception in one line, with the cause that a wrapping filesystem hides."""
    cause = error.__cause__ or error
    return " ".join(f"{type(cause).__name__}: {cause}".split())
