"""What became of every object of a scanned file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import MetadataError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Cost", "Fingerprint", "ObjectReport", "Outcome", "ScanReport"]


class Outcome(StrEnum):
    """What can become of an object."""

    GROUP = "group"
    REFERENCED = "referenced"
    INLINED = "inlined"
    DUPLICATED = "duplicated"
    METADATA = "metadata"
    SKIPPED = "skipped"


_SHOWN = 20
"""Objects that were skipped, and warnings, of a report in text."""


class Fingerprint(NamedTuple):
    """How a source looked when it was scanned, to notice when it changes.

    Parameters
    ----------
    size : int
        Bytes.
    mtime : float, optional
        Time of the last modification, seconds since 1970-01-01 UTC.
    etag : str, optional
        Entity tag or checksum that the store gives.
    """

    size: int
    mtime: float | None = None
    etag: str | None = None

    @classmethod
    def from_dict(cls, document: Any) -> Fingerprint:
        """Return the fingerprint that a JSON object holds.

        Raises
        ------
        MetadataError
            If it holds none.
        """
        try:
            size, mtime, etag = (document.get(name) for name in ("size", "mtime", "etag"))
            return cls(int(size), None if mtime is None else float(mtime), etag and str(etag))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise MetadataError(f"not the fingerprint of a file: {document!r}") from error

    def change(self, found: Fingerprint, mode: str, *, local: bool = False) -> str:
        """Return in words how a file is not the one that was scanned; empty if it may be.

        Parameters
        ----------
        found : Fingerprint
            As it is now; fields that are not known are not compared.
        mode : {"off", "size", "full"}
            Nothing is compared; or what comes with the bytes and means something (size and ETag of
            an answer, size and time of a local file); or also times that servers tell.
        local : bool
            Whether it is a file of this machine, whose time of modification means something.
        """
        if mode == "off":
            return ""
        if found.size != self.size:
            return f"the file has {found.size} bytes, and had {self.size} when it was scanned"
        if self.etag and found.etag:
            weak = "W/" in (self.etag[:2], found.etag[:2])
            if not weak and self.etag != found.etag:
                return f"the file's ETag is {found.etag}, and was {self.etag} when it was scanned"
        elif (local or mode == "full") and _other_time(self.mtime, found.mtime):
            return "the file was modified after it was scanned"
        return ""

    @property
    def revisit_limit(self) -> int:
        """How many bytes of the file may be asked for in all.

        Whatever a damaged file makes a reader ask for, the cost stays in proportion.
        """
        return 4 * self.size + 64 * 1024**2

    def as_dict(self) -> dict[str, Any]:
        """Return the known fields as a JSON object."""
        pairs = {"size": self.size, "mtime": self.mtime, "etag": self.etag}
        return {key: value for key, value in pairs.items() if value is not None}


def _other_time(known: float | None, found: float | None) -> bool:
    if known is None or found is None:
        return False
    # Some stores, and archives that files were unpacked from, know whole seconds only.
    whole = known.is_integer() or found.is_integer()
    return abs(known - found) >= (1 if whole else 0.001)


@dataclass(slots=True, eq=False)
class Cost:
    """What reading a file has cost so far.

    Parameters
    ----------
    requests : int
        Requests sent; for a local file, system calls.
    bytes_read : int
        Bytes received.
    rounds : int
        Batches of requests that had to wait for one another; 0 for a local file.
    """

    requests: int = 0
    bytes_read: int = 0
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """One object of the file.

    Parameters
    ----------
    path : str
        Its name in the file.
    outcome : Outcome
        What became of it.
    reason : str
        Why, in a sentence; empty for what is referenced.
    code : str
        Stable short form of the reason, such as ``"filter-unknown"``.
    """

    path: str
    outcome: Outcome
    reason: str = ""
    code: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers send them by the thousand, and what a dataclass does by itself takes far longer.
        return type(self), (self.path, self.outcome, self.reason, self.code)


@dataclass(slots=True, repr=False)
class ScanReport:
    """The account of one scan: a row for every object, warnings, sources, costs.

    Parameters
    ----------
    url : str
        The file that was scanned.
    format : str
        Name of the scanner.
    rows : list of ObjectReport
        One for every object in the file.
    warnings : list of str
        What a reader should know though nothing is lost.
    sources : dict of str to Fingerprint
        Every file that references point into.
    missing : list of str
        Files that were looked for and are not there; the scan would find more if they were.
    sensitive : bool
        Whether the set holds what tells of people, as somebody wished: no cache keeps it.
    parts : dict
        What the scanner needs to join more files to the set, as a JSON object; empty for most.
    requests, bytes_read, rounds : int
        Reads that the scan caused: byte ranges asked for, their bytes, and batches that had
        to wait for one another.
    seconds : float
        Wall time of the scan; of files that were joined the sum.

    Examples
    --------
    >>> report = refmaker.scan("examples/air.nc").report
    >>> for row in report.rows:
    ...     print(row.path, row.outcome.value)
    / group
    /time inlined
    /lat inlined
    /lon inlined
    /air referenced
    >>> report.lossless, report.skipped
    (True, [])
    """

    url: str
    format: str = ""
    rows: list[ObjectReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sources: dict[str, Fingerprint] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list, kw_only=True)
    sensitive: bool = field(default=False, kw_only=True)
    parts: dict[str, Any] = field(default_factory=dict, kw_only=True)
    requests: int = 0
    bytes_read: int = 0
    rounds: int = 0
    seconds: float = 0.0

    def add(self, path: str, outcome: Outcome, reason: str = "", code: str = "") -> None:
        """Account for one object."""
        self.rows.append(ObjectReport(path, outcome, reason, code))

    def warn(self, message: str) -> None:
        """Note something that a reader should know; the same words are kept once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def add_cost(self, other: ScanReport) -> None:
        """Add what another scan cost; of scans that ran side by side these are sums, too."""
        self.requests += other.requests
        self.bytes_read += other.bytes_read
        self.rounds += other.rounds
        self.seconds += other.seconds

    def count(self, outcome: Outcome) -> int:
        """Return how many objects ended that way."""
        return sum(row.outcome is outcome for row in self.rows)

    def having(self, *outcomes: Outcome) -> list[ObjectReport]:
        """Return the rows that ended in one of these ways, in file order."""
        return [row for row in self.rows if row.outcome in outcomes]

    @property
    def skipped(self) -> list[ObjectReport]:
        """The objects that could not be brought into the reference set."""
        return self.having(Outcome.SKIPPED)

    @property
    def lossless(self) -> bool:
        """Whether every object of the file is in the reference set."""
        return not self.skipped

    def __repr__(self) -> str:
        form = f" ({self.format})" if self.format else ""
        lines = [f"<ScanReport of {self.url!r}{form}: {self._counts()}>"]
        lines += [
            f"skipped: {row.path}: {row.reason} [{row.code}]" for row in self.skipped[:_SHOWN]
        ]
        lines += [f"warning: {text}" for text in self.warnings[:_SHOWN]]
        return "\n".join(map(printable, lines))

    def _counts(self) -> str:
        counts = ((self.count(outcome), outcome.value) for outcome in Outcome)
        return ", ".join(f"{count:,} {word}" for count, word in counts if count) or "no objects"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from refmaker.model.amounts import counted, human_size
        from refmaker.model.display import document, html_table

        rows = [*self.skipped, *(row for row in self.rows if row.outcome is not Outcome.SKIPPED)][
            :1000
        ]
        cells = [(row.path, row.outcome.value, row.reason) for row in rows]
        bad = [number for number, row in enumerate(rows) if row.outcome is Outcome.SKIPPED]
        cost = (
            f"{counted(self.requests, 'request')}, {human_size(self.bytes_read)} read in"
            f" {self.seconds:.2g} s"
        )
        return document(
            f"ScanReport of {printable(self.url)}",
            self._counts(),
            html_table(("object", "became", "why"), cells, bad),
            html_table((), [("warning", text) for text in self.warnings] + [("cost", cost)]),
        )

    def extend(self, rows: Iterable[ObjectReport]) -> None:
        """Account for many objects."""
        self.rows.extend(rows)

    def as_dict(self) -> dict[str, Any]:
        """Return the account as a JSON object, in the form that ``scan --json`` prints."""
        return {
            "format": self.format,
            "groups": self.count(Outcome.GROUP),
            "referenced": self.count(Outcome.REFERENCED),
            "inlined": self.count(Outcome.INLINED),
            "duplicated": self.count(Outcome.DUPLICATED),
            "metadata": self.count(Outcome.METADATA),
            "skipped": [
                {"path": row.path, "reason": row.reason, "code": row.code} for row in self.skipped
            ],
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 6),
            "requests": self.requests,
            "bytes_read": self.bytes_read,
            "rounds": self.rounds,
        }
