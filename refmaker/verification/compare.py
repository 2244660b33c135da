"""Comparing what references read with what the format's own library reads."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.codecs import package_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from zarr.abc.store import Store

    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["ArrayCheck", "NotComparableError", "chosen_chunks", "compare_array", "same_values"]


class NotComparableError(Exception):
    """There are no native values to compare a chunk with, and that is nobody's fault."""


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
    passed_over : int
        Chosen chunks for which there is nothing to compare with: in a set of many files
        those that are absent or inlined, which no longer tell what file they came from.
    reason : str
        Why the first chunk differs, or why chunks could not be compared; else empty.
    """

    path: str
    chunks: int
    compared: int = 0
    equal: int = 0
    different: int = 0
    reason: str = ""
    passed_over: int = 0

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
            "passed_over": self.passed_over,
            "reason": self.reason,
        }

    def __add__(self, other: ArrayCheck) -> ArrayCheck:
        return ArrayCheck(
            self.path,
            self.chunks,
            self.compared + other.compared,
            self.equal + other.equal,
            self.different + other.different,
            self.reason or other.reason,
            self.passed_over + other.passed_over,
        )


def chosen_chunks(array: Array, path: str, sample: int | None, seed: int) -> Sequence[int]:
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


def compare_array(
    path: str, array: Array, store: Store, native: LibraryReader, numbers: Sequence[int]
) -> ArrayCheck:
    """Compare chunks of one array.

    Parameters
    ----------
    path : str
        Its path in the set.
    array : Array
        What the set says of it.
    store : zarr.abc.store.Store
        The set, open.
    native : LibraryReader
        What knows the true values.
    numbers : sequence of int
        Flat numbers of the chunks.

    Returns
    -------
    ArrayCheck
    """
    import zarr

    compared = equal = passed = 0
    reason = native_reason = ""
    try:
        virtual: Any = zarr.open_array(store, path=path, mode="r", zarr_format=2)
    except Exception as error:  # noqa: BLE001 - whatever zarr or a codec does costs one array
        return ArrayCheck(path, array.chunks.size, reason=_unopened(array, error))
    for region in _regions(array, numbers):
        try:
            true = native.read(path, array, region)
        except NotComparableError:
            passed += 1
            continue
        except Exception as error:  # noqa: BLE001 - the format's library may raise anything
            native_reason = native_reason or f"no native values: {_told(error)}"
            continue
        compared += 1
        difference = _difference(array, virtual, true, region)
        equal += not difference
        reason = reason or difference
    return ArrayCheck(
        path,
        array.chunks.size,
        compared,
        equal,
        compared - equal,
        reason or native_reason,
        passed,
    )


def _unopened(array: Array, error: BaseException) -> str:
    """Return why Zarr cannot open an array, with the package to install if one is missing."""
    from numcodecs import get_codec
    from numcodecs.errors import UnknownCodecError

    for config in array.codecs:
        try:
            get_codec(dict(config))
        except (UnknownCodecError, ImportError):
            name = str(config.get("id"))
            return f"nothing that is installed decodes {name!r}: pip install {package_of(name)}"
        except Exception:  # noqa: BLE001 - a codec that refuses its own configuration
            break
    return f"zarr cannot open it: {_told(error)}"


def _difference(array: Array, virtual: Any, true: NDArray[Any], region: tuple[slice, ...]) -> str:
    """Return how the region's values differ; empty if they do not."""
    import numpy as np

    where = ", ".join(f"{part.start}:{part.stop}" for part in region)
    try:
        read = np.asarray(virtual[region])
        if read.shape == () and array.dtype.kind == "S" and read.dtype.kind == "S":
            # Alone, numpy cuts a text behind its last character.
            read = read.astype(max(read.dtype, array.dtype, key=lambda kind: kind.itemsize))
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
