"""The scanner protocol, and the registry that finds scanners by entry point.

A package adds a format by an entry point in the group ``refmaker.scanners`` whose object
is an instance of a class with the members of `Scanner`, or a callable that returns one. What is
known of a format before its scanner is loaded stands in `refmaker.scanning.declaration`.
"""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from refmaker.codecs.entry_points import EntryPoint, entry_points
from refmaker.errors import MetadataError, MissingDependencyError, UnknownFormatError
from refmaker.io.local_file import local_path
from refmaker.scanning.declaration import FormatDeclaration, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.options import ScanOptions

__all__ = [
    "DECLARATIONS",
    "ENTRY_POINTS",
    "SNIFF_BYTES",
    "FormatDeclaration",
    "JoiningScanner",
    "LibraryReader",
    "MismatchError",
    "MultiFileScanner",
    "RemarkingReader",
    "Scanner",
    "Setting",
    "Summarizer",
    "Tolerance",
    "TolerantReader",
    "all_settings",
    "appearance",
    "choose",
    "declarations",
    "load",
    "recognised",
    "scanners",
    "setting_values",
]

log = logging.getLogger("refmaker.scanning.protocol")

_COMPRESSED, _ARCHIVE, _JSON = "it is compressed", "it is a ZIP archive", "it looks like JSON"
_UNPACKED_BY = {"gzip": "gunzip -k", "bzip2": "bunzip2 -k", "xz": "unxz -k", "zstd": "unzstd"}
_SIGNATURES = (
    (b"PK\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", f"{_COMPRESSED} with gzip"),
    (b"BZh", f"{_COMPRESSED} with bzip2"),
    (b"\xfd7zXZ", f"{_COMPRESSED} with xz"),
    (b"\x28\xb5\x2f\xfd", f"{_COMPRESSED} with zstd"),
    (b"%PDF", "it is a PDF document"),
    (b"\x89PNG", "it is a PNG image"),
    (b"<", "it looks like HTML or XML"),
    (b"{", _JSON),
)
"""What is often taken for data, by its first bytes."""

ENTRY_POINTS, DECLARATIONS = "refmaker.scanners", "refmaker.formats"
SNIFF_BYTES = 4096


@runtime_checkable
class LibraryReader(Protocol):
    """A file opened with its format's own library: the oracle that ``verify`` asks.

    Where one library shares a fault with the scanner, the reader asks another one for the arrays
    concerned. One whose values may differ a little is a `TolerantReader`.
    """

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array.

        Parameters
        ----------
        path : str
            Path of the array in the reference set.
        array : Array
            What the reference set says of it; the values come in its dtype.
        region : tuple of slice
            One slice of elements per dimension.

        Returns
        -------
        ndarray
            The region's values, as the format's own library gives them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far values may be from those of the format's own library, and be the same.

    Parameters
    ----------
    absolute : float
        The largest difference: 1 for a lossy codec whose standard leaves the last digit to the
        decoder.
    period : float
        What values may differ by any number of times, such as 360 for longitudes in degrees;
        0 for no such thing.
    """

    absolute: float = 0.0
    period: float = 0.0


class MismatchError(Exception):
    """The set contradicts its files, whatever is read through it.

    Raised by readers, and by whatever looks at more than values: a slice that lies elsewhere than
    its array says, a chunk of another file.
    """


@runtime_checkable
class TolerantReader(LibraryReader, Protocol):
    """A reader whose format says that some values need not be equal bit for bit."""

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far values of an array may be off; None for those that must be equal."""
        ...


@runtime_checkable
class RemarkingReader(LibraryReader, Protocol):
    """A reader that knows what a file says of itself, such as checksums, and whether it is so."""

    def remark(self, path: str) -> str:
        """Return what is to be told of an array though its values are equal; empty for nothing."""
        ...


@runtime_checkable
class Scanner(Protocol):
    """One format: how to recognise a file, scan it, and read it natively.

    Attributes
    ----------
    name : str
        Short name, as in ``--format``.
    suffixes : tuple of str
        Usual file name endings, with the dot; used to break ties, never to decide alone.
    """

    name: str
    suffixes: tuple[str, ...]

    def sniff(self, head: bytes, url: str) -> float:
        """Return how sure it is, 0 to 1, that a file starting with `head` is its format."""
        ...

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the file's reference set and the account of every object in it."""
        ...

    def native(self, source: Source) -> AbstractContextManager[LibraryReader]:
        """Open the file with the format's own library."""
        ...


@runtime_checkable
class MultiFileScanner(Scanner, Protocol):
    """A scanner of a format whose objects are spread over many files, such as image series."""

    def collect(
        self,
        urls: Sequence[str],
        storage_options: Mapping[str, Any] | None,
        options: ScanOptions,
    ) -> tuple[Group, ScanReport]:
        """Return one reference set of many files, and the account of every one of them.

        Parameters
        ----------
        urls : sequence of str
            The files; what is not of the format gets a row of the report and costs nothing else.
        storage_options : mapping or None
            For `Source` and `refmaker.io.first_bytes`, which pass on to fsspec what is its own:
            beginnings of files that were read to tell the format may be among them.
        options : ScanOptions
            How to scan.
        """
        ...

    def native_collection(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None
    ) -> AbstractContextManager[LibraryReader]:
        """Open many files with the format's own library."""
        ...


@runtime_checkable
class JoiningScanner(MultiFileScanner, Protocol):
    """A scanner that joins what files hold before it makes a tree of it.

    The part of a file is as compact as it can be; a set is joined of any number of them.
    """

    def part(self, source: Source, options: ScanOptions) -> tuple[bytes, ScanReport]:
        """Return what is in a file, and the account of its scan."""
        ...

    def reads_together(self, options: ScanOptions) -> bool:
        """Tell whether files are to be read by `collect`, not each for itself."""
        ...

    def join(
        self, parts: Iterable[tuple[bytes, ScanReport]], options: ScanOptions
    ) -> tuple[Group, ScanReport]:
        """Return one reference set of parts, whatever their order, and the account of it."""
        ...

    def parts(
        self, group: Group, report: ScanReport
    ) -> tuple[list[tuple[bytes, ScanReport]], ScanOptions] | None:
        """Return the parts that a stored set was joined of, and how; None if it cannot tell."""
        ...


Native = LibraryReader
"""The name until 0.1."""
Collector = MultiFileScanner
"""The name until 0.1."""


@runtime_checkable
class Summarizer(Scanner, Protocol):
    """A scanner that can say in a table what a set of its format holds."""

    def summary(self, group: Group) -> list[dict[str, Any]]:
        """Return rows of JSON values for people, each with the same names.

        Parameters
        ----------
        group : Group
            What a scan returned, or what was read of a written set.
        """
        ...


def all_settings() -> Mapping[str, tuple[Setting, tuple[str, ...]]]:
    """Return the settings of all installed scanners by name, each with the formats that know it.

    Where several formats know one, it has the choices of all of them.
    """
    found: dict[str, tuple[Setting, tuple[str, ...]]] = {}
    for declared in declarations().values():
        for setting in declared.settings:
            other, formats = found.get(setting.name, (setting, ()))
            found[setting.name] = _joined(other, setting), (*formats, declared.name)
    return found


def _joined(one: Setting, other: Setting) -> Setting:
    free = not (one.choices and other.choices)
    choices = () if free else tuple(dict.fromkeys((*one.choices, *other.choices)))
    texts = "; ".join(dict.fromkeys((one.help, other.help)))
    defaults = " or ".join(dict.fromkeys((one.default, other.default)))
    former = tuple(dict.fromkeys((*one.former, *other.former)))
    return Setting(one.name, defaults, texts, choices, former)


def setting_values(scanner: Scanner, options: ScanOptions) -> dict[str, str]:
    """Return the value of each of a scanner's settings.

    Settings and choices of other formats are passed over, so that one call can scan files of
    many kinds.

    Raises
    ------
    MetadataError
        If a value is not among the setting's choices, or no format has such a setting.
    """
    own = {setting.name: setting for setting in getattr(scanner, "settings", ())}
    values = {name: setting.default for name, setting in own.items()}
    known = all_settings() if options.settings else {}
    for given, value in options.settings.items():
        # Several formats may have had one name for what are different settings now.
        names = [name for name, (one, _) in known.items() if given in (name, *one.former)]
        if not names:
            raise MetadataError(
                f"no format has a setting {given!r}",
                hint=f"known: {', '.join(sorted(known)) or 'none'}",
            )
        choices = [choice for name in names for choice in known[name][0].choices]
        if choices and value not in choices:
            raise MetadataError(
                f"setting {' or '.join(names)} is {value!r}", hint=f"it can be {', '.join(choices)}"
            )
        for name in set(names) & own.keys():
            if not own[name].choices or value in own[name].choices:
                values[name] = value
    return values


def declarations() -> Mapping[str, FormatDeclaration]:
    """Return what all formats say of themselves, by name.

    Scanners of packages that declare nothing are loaded. One that cannot be loaded is left out,
    and the log says why.
    """
    return {name: declared for name, (declared, _) in _known().items()}


def _known() -> Mapping[str, tuple[FormatDeclaration, EntryPoint]]:
    """Return each format's declaration, and the entry point of its scanner."""
    return _declared(entry_points(ENTRY_POINTS), entry_points(DECLARATIONS))


@lru_cache(maxsize=4)
def _declared(
    points: tuple[EntryPoint, ...], declared: tuple[EntryPoint, ...]
) -> Mapping[str, tuple[FormatDeclaration, EntryPoint]]:
    light = {point.name: point for point in declared}
    found: dict[str, tuple[FormatDeclaration, EntryPoint]] = {}
    for point in points:
        try:
            if point.name in light:
                declaration: FormatDeclaration = light[point.name].load()
            else:
                declaration = _declaration_of(_made(point))
        except Exception as error:
            # The edge to other people's packages: what they raise costs their formats only.
            log.warning("the scanner %s cannot be loaded: %r", point.name, error)
            log.debug("%s", point.value, exc_info=True)
            continue
        found[declaration.name] = declaration, point
    return found


def _declaration_of(scanner: Scanner) -> FormatDeclaration:
    """Return what a scanner says that has no declaration."""
    settings: tuple[Setting, ...] = tuple(getattr(scanner, "settings", ()))
    return FormatDeclaration(scanner.name, tuple(scanner.suffixes), scanner.sniff, settings)


@lru_cache(maxsize=64)
def _made(point: EntryPoint) -> Scanner:
    loaded = point.load()
    # A class has all the members that its instances have, but is to be called.
    made = isinstance(loaded, Scanner) and not isinstance(loaded, type)
    scanner: Scanner = loaded if made else loaded()
    return scanner


def load(name: str) -> Scanner:
    """Return a format's scanner.

    Parameters
    ----------
    name : str
        As in `declarations`.

    Raises
    ------
    UnknownFormatError
        If there is none of that name.
    MissingDependencyError
        If it cannot be imported.
    """
    known = _known()
    if name not in known:
        raise UnknownFormatError(
            f"there is no scanner named {name!r}", hint=f"known: {', '.join(known) or 'none'}"
        )
    _, point = known[name]
    try:
        return _made(point)
    except Exception as error:  # the edge to other people's packages, as above
        raise MissingDependencyError(
            f"the scanner {name} of the package {point.package} cannot be loaded: {error}",
            hint=f"pip install {point.package}",
        ) from error


def scanners() -> Mapping[str, Scanner]:
    """Return all installed scanners by name.

    One that cannot be loaded is left out, and the log says why. All of them are imported: who
    needs names, endings or settings asks `declarations`, and who needs one scanner `load`.
    """
    found: dict[str, Scanner] = {}
    for name in declarations():
        try:
            found[name] = load(name)
        except MissingDependencyError as error:
            log.warning("%s", error)
    return found


def appearance(head: bytes) -> str:
    """Say what a file looks like, without a byte of it: these may be anybody's name.

    Parameters
    ----------
    head : bytes
        Its first bytes.
    """
    for signature, what in _SIGNATURES:
        if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(signature):
            return what
    first = head[:64]
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in first)
    return f"{printable} of its first {len(first)} bytes are text"


def choose(head: bytes, url: str, name: str | None = None) -> Scanner:
    """Return the scanner for a file.

    Parameters
    ----------
    head : bytes
        The file's first `SNIFF_BYTES` bytes, or all of a shorter file.
    url : str
        Where it lies; its ending decides between scanners that are equally sure.
    name : str, optional
        The scanner to take without looking.

    Raises
    ------
    UnknownFormatError
        If there is no scanner of that name, or none recognises the file.
    MissingDependencyError
        If its scanner cannot be imported.
    """
    return load(recognised(head, url, declarations()) if name is None else name)


def recognised(head: bytes, url: str, known: Mapping[str, FormatDeclaration]) -> str:
    """Return the name of the format of a file.

    Parameters
    ----------
    head, url
        As for `choose`.
    known : mapping of str to FormatDeclaration
        What `declarations` returned, once for many files.

    Raises
    ------
    UnknownFormatError
        If none of them recognises the file.
    """
    best, found, name = (0.0, False), "", url.lower()
    for declared in known.values():
        sure = _sniffed(declared, head, url)
        if sure > 0 and (rank := (sure, name.endswith(declared.suffixes))) > best:
            best, found = rank, declared.name
    if not found:
        what = "the file is empty" if not head else appearance(head)
        raise UnknownFormatError(
            f"not a format that is known here: {what}",
            url=url,
            hint=_hint(what, url)
            or f"known formats: {', '.join(known) or 'none'}; 'refmaker formats' lists them",
        )
    return found


def _hint(what: str, url: str) -> str:
    """Say what helps with a file that looks compressed or whose name tells a format."""
    if what == _ARCHIVE:
        return f"scan what is in it: {shlex.quote(f'zip://::{url}')}"
    if what == _JSON:
        return f"if it is a reference set: 'refmaker info {shlex.quote(url)}'"
    program = _UNPACKED_BY.get(what.removeprefix(f"{_COMPRESSED} with "))
    if program is not None:
        if local_path(url) is None:
            return "download it and unpack it, and scan what is in it"
        if url.lower().endswith((".tgz", ".tbz2", ".txz")) or ".tar." in url.lower():
            program = "tar -xf"
        return f"unpack it, and scan what is in it: {program} {shlex.quote(url)}"
    for name, declared in declarations().items():
        if url.lower().endswith(declared.suffixes):
            return (
                f"its name is one of {name}: if something else only comes first, `format='{name}'`"
            )
    return ""


def _sniffed(declared: FormatDeclaration, head: bytes, url: str) -> float:
    try:
        return float(declared.sniff(head, url))
    except Exception as error:
        # As above: a package that stumbles over a file leaves it to the others.
        log.warning("the format %s cannot look at %s: %r", declared.name, url, error)
        log.debug("%s", declared.name, exc_info=True)
        return 0.0
