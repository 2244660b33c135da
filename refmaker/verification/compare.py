"""Comparing what references read with what the format's own library reads."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.codecs import package_of
from refmaker.errors import printable
from refmaker.model.amounts import counted
from refmaker.scanning.protocol import MismatchError, RemarkingReader, TolerantReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from zarr.abc.store import Store

    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader, Tolerance

__all__ = [
    "ArrayCheck",
    "ArrayChecks",
    "NotComparableError",
    "chosen_chunks",
    "compare_array",
    "near_values",
    "same_values",
]

_SHOWN = 20
"""Arrays that are not equal, in text."""


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
        Chunks whose native values were at hand, and how they compare, bit for bit or within
        what a lossy codec allows. A chunk that the references cannot read is different.
    passed_over : int
        Chosen chunks that were never written, and for which no file says so.
    reason : str
        Why the first chunk differs, or why chunks could not be compared; else what the file
        says of itself and is not so, such as a checksum, or empty.
    uncompared : int
        Chosen chunks that hold data and could not be compared.
    metadata : str
        How the attributes that decide what values mean differ from those of the files; empty
        if they do not.
    given : int
        Chosen chunks of values that were given when the set was edited, and are in no file.
    edited : tuple of str
        Attributes that were set or removed when the set was edited, which are not compared.

    Examples
    --------
    >>> for check in refmaker.verify(refmaker.scan("examples/air.nc")):
    ...     print(check.path, check.verdict, f"{check.equal} of {check.chunks}")
    time equal 1 of 1
    lat equal 1 of 1
    lon equal 1 of 1
    air equal 1 of 1
    """

    path: str
    chunks: int
    compared: int = 0
    equal: int = 0
    different: int = 0
    reason: str = ""
    passed_over: int = 0
    uncompared: int = 0
    metadata: str = ""
    given: int = 0
    edited: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that was to be compared was, and is equal."""
        return self.verdict in ("equal", "empty", "given")

    @property
    def verdict(self) -> str:
        """What to call it: ``different``, ``not compared``, ``equal``.

        ``empty`` without data, ``given`` where the values are in no file.
        """
        if self.different or self.metadata:
            return "different"
        if self.uncompared:
            return "not compared"
        if self.given and not self.compared:
            return "given"
        return "empty" if self.passed_over and not self.compared else "equal"

    @property
    def why(self) -> str:
        """What differs, or why something could not be compared; else empty."""
        return "; ".join(filter(None, (self.metadata, self.reason)))

    def as_dict(self) -> dict[str, Any]:
        """Return the check as a JSON object, in the form that ``verify --json`` prints."""
        return {
            "path": self.path,
            "verdict": self.verdict,
            "chunks": self.chunks,
            "compared": self.compared,
            "equal": self.equal,
            "different": self.different,
            "not_compared": self.uncompared,
            "passed_over": self.passed_over,
            "reason": self.reason,
            "metadata": self.metadata,
            "given": self.given,
            "edited": list(self.edited),
        }

    def __add__(self, other: ArrayCheck) -> ArrayCheck:
        # Why something differs is of more use than why it was not compared.
        first, second = (other, self) if other.different and not self.different else (self, other)
        return ArrayCheck(
            self.path,
            self.chunks,
            self.compared + other.compared,
            self.equal + other.equal,
            self.different + other.different,
            first.reason or second.reason,
            self.passed_over + other.passed_over,
            self.uncompared + other.uncompared,
            self.metadata or other.metadata,
            self.given + other.given,
            self.edited or other.edited,
        )


class ArrayChecks(list[ArrayCheck]):
    """What comparing came to, for each array in the order of the set."""

    @property
    def ok(self) -> bool:
        """Whether everything that was to be compared was, and is equal."""
        return all(check.ok for check in self)

    @property
    def counts(self) -> dict[str, int]:
        """How many arrays have each verdict."""
        return dict(Counter(check.verdict for check in self))

    def summary(self) -> str:
        """Return how many arrays are equal, in a line."""
        counts = self.counts
        words = ("equal", "different", "not compared", "empty", "given")
        told = [f"{counts.get(word, 0):,} {word}" for word in words if word in {"equal", *counts}]
        return f"{counted(len(self), 'array')}: {', '.join(told)}"

    def __repr__(self) -> str:
        bad = [check for check in self if not check.ok]
        lines = [f"<ArrayChecks of {self.summary()}>"]
        lines += [f"{check.verdict}: {check.path}: {check.why}" for check in bad[:_SHOWN]]
        lines += [f"... and {len(bad) - _SHOWN:,} more"] if len(bad) > _SHOWN else []
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what is not equal first."""
        from refmaker.model.display import document, html_table

        checks = sorted(self, key=lambda check: check.ok)[:1000]
        rows = [
            (check.verdict, check.path, f"{check.compared:,} of {check.chunks:,}", check.why)
            for check in checks
        ]
        bad = [number for number, check in enumerate(checks) if not check.ok]
        names = ("verdict", "array", "chunks compared", "why")
        return document("Verification", self.summary(), html_table(names, rows, bad))


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
        yield array.region(np.unravel_index(number, array.chunks.grid) if array.shape else ())


def compare_array(
    path: str,
    array: Array,
    store: Store,
    native: LibraryReader,
    numbers: Sequence[int],
    limit: int,
) -> ArrayCheck:
    """Compare chunks of one array.

    Parameters
    ----------
    array : Array
        What the set says of it.
    limit : int
        Bytes of a chunk up to which it is compared.
    """
    from refmaker.reading.open import open_array

    if not numbers:
        return ArrayCheck(path, array.chunks.size)
    if array.origin is not None and not array.origin.path and not array.chunks.referenced:
        return ArrayCheck(path, array.chunks.size, given=len(numbers))
    size = array.dtype.itemsize * math.prod(array.chunk_shape)
    if size > limit:
        reason = f"a chunk of {size:,} bytes is larger than the {limit:,} that are compared"
        return ArrayCheck(path, array.chunks.size, uncompared=len(numbers), reason=reason)
    try:
        virtual: Any = open_array(store, path)
    except Exception as error:  # noqa: BLE001 - whatever zarr or a codec does costs one array
        return ArrayCheck(
            path, array.chunks.size, uncompared=len(numbers), reason=_unopened(array, error)
        )
    tolerance = native.tolerance(path, array) if isinstance(native, TolerantReader) else None
    compared = equal = passed = missed = 0
    reason = native_reason = ""
    for number, region in zip(numbers, _regions(array, numbers), strict=True):
        try:
            true = native.read(path, array, region)
        except NotComparableError as error:
            absent = array.chunks.get(int(number)) is None
            passed += absent
            missed += not absent
            native_reason = native_reason or ("" if absent else str(error))
            continue
        except MismatchError as error:
            compared += 1
            reason = reason or f"[{_where(region)}] {error}"
            continue
        except Exception as error:  # noqa: BLE001 - the format's library may raise anything
            missed += 1
            native_reason = native_reason or f"no native values: {_format_error(error)}"
            continue
        compared += 1
        difference = _difference(array, virtual, true, region, tolerance)
        equal += not difference
        reason = reason or difference
    reason = reason or native_reason
    if equal and not reason and isinstance(native, RemarkingReader):
        reason = native.remark(path if array.origin is None else array.origin.path)
    return ArrayCheck(
        path,
        array.chunks.size,
        compared,
        equal,
        compared - equal,
        reason,
        passed,
        missed,
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
        except Exception:  # noqa: BLE001 - codecs of others refuse as they like
            break
    return f"zarr cannot open it: {_format_error(error)}"


def _difference(
    array: Array,
    virtual: Any,
    true: NDArray[Any],
    region: tuple[slice, ...],
    tolerance: Tolerance | None,
) -> str:
    """Return how the region's values differ; empty if they do not."""
    import numpy as np

    where = _where(region)
    try:
        read = np.asarray(virtual[region])
        if read.shape == () and array.dtype.kind == "S" and read.dtype.kind == "S":
            # Alone, numpy cuts a text behind its last character.
            read = read.astype(max(read.dtype, array.dtype, key=lambda kind: kind.itemsize))
    except Exception as error:  # noqa: BLE001 - a codec or filesystem may raise anything
        return f"[{where}] cannot be read: {_format_error(error)}"
    true = np.asarray(true)
    if read.shape != true.shape:
        return f"[{where}] has shape {read.shape}, natively {true.shape}"
    for name, values in (("", read), ("natively ", true)):
        if not _fits(values.dtype, array.dtype):
            return f"[{where}] is {name}{values.dtype}, not {array.dtype}"
    read, true = (values.astype(array.dtype, copy=False) for values in (read, true))
    if same_values(read, true) or (tolerance is not None and near_values(read, true, tolerance)):
        return ""
    return f"[{where}] has other values"


def _where(region: tuple[slice, ...]) -> str:
    return ", ".join(f"{part.start}:{part.stop}" for part in region)


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
    if left.shape != right.shape or left.dtype != right.dtype:
        return left.tobytes() == right.tobytes()
    one, other = (np.ascontiguousarray(values).reshape(-1) for values in (left, right))
    return bool(np.array_equal(one.view(np.uint8), other.view(np.uint8)))


def near_values(left: NDArray[Any], right: NDArray[Any], tolerance: Tolerance) -> bool:
    """Tell whether numbers are as near to each other as they have to be; NaN is near NaN only."""
    import numpy as np

    if left.dtype.kind not in "iuf":
        return False
    wide = np.float64 if left.dtype.kind == "f" or tolerance.period else np.int64
    apart = left.astype(wide) - right.astype(wide)
    if tolerance.period:
        apart -= np.rint(apart / tolerance.period) * tolerance.period
    near = np.abs(apart) <= tolerance.absolute
    if left.dtype.kind == "f":
        near |= np.isnan(left) & np.isnan(right)
    return bool(near.all())


def _same_object(left: Any, right: Any) -> bool:
    import numpy as np

    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        left, right = np.asarray(left), np.asarray(right)
        return left.shape == right.shape and left.dtype == right.dtype and same_values(left, right)
    return type(left) is type(right) and bool(left == right)


def _format_error(error: BaseException) -> str:
    """Return an exception in one line, with the cause that a wrapping filesystem hides."""
    cause = error.__cause__ or error
    return " ".join(f"{type(cause).__name__}: {cause}".rstrip(": ").split())
