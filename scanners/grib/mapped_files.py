"""Tables of many files from their lists alone: a few are read, and tell what all lists mean.

Of every file its list is fetched, and the header of its last message, whose answer tells the
file's size as well. That message has to end where the file does, to be of the reference time that
the list says, and to be octet for octet what files that were read say of its line; else the list
is of another file, or stale, and the file is read. What no file that was read tells is read too.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from refmaker.errors import MetadataError
from refmaker.io.first_bytes import read_pieces
from refmaker.io.local_file import local_path
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.grib.file_table import read_part
from refmaker.scanners.grib.listed_file import ListedFile, read_messages
from refmaker.scanners.grib.mapped_fields import MappedFields
from refmaker.scanners.grib.sidecars import Offsets, find_lists
from refmaker.scanners.grib.taught_sections import RecordingList, TaughtSections

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from refmaker.errors import RefmakerError
    from refmaker.model.report import Cost
    from refmaker.scanners.grib.file_table import Part

__all__ = ["map_files"]

_PROBES = (4096, 256 * 1024)
"""Bytes read of a message that is looked at: all its sections but the data, as a rule."""
_AT_ONCE = 8
"""Remote files that are read at a time."""
_ROUNDS = 4
"""How often what is left open is read in a few files, to learn it for the others."""
_FEW = 3
"""One over the share of messages that are read one by one; of more the file is walked."""

_Group = tuple[set["Hashable"], list[ListedFile]]
"""Keys that are looked for, and the files of equal wording whose lists have them."""
_T = TypeVar("_T")


def map_files(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None,
    values: Mapping[str, str],
    cost: Cost,
) -> list[Part | RefmakerError]:
    """Return the fields of many files, most of them known from their lists.

    Parameters
    ----------
    urls : sequence of str
        The files, in the order in which they are returned.
    cost : Cost
        Counted up with the requests for lists and for last messages.
    """
    mapping = _Mapping(urls, storage_options, values, cost)
    mapping.look()
    mapping.teach()
    mapping.learn_more()
    return mapping.files()


class _Mapping:
    """What is known of some files, from lists to tables."""

    def __init__(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None,
        values: Mapping[str, str], cost: Cost,
    ) -> None:  # fmt: skip
        self._urls = urls
        self._options = storage_options
        self._values = values
        self._cost = cost
        self._probes = _count(values["probes"])
        self._listed: dict[str, ListedFile] = {}
        self._unknown: dict[str, str] = {}
        self._walked: dict[str, Part | RefmakerError] = {}
        self._taught = TaughtSections()

    def look(self) -> None:
        """Fetch all lists, and the last message of every file."""
        for url, found in find_lists(self._urls, self._options, self._cost).items():
            if found.lines is None:
                self._unknown[url] = found.url
            else:
                self._listed[url] = ListedFile(url, found, found.lines)
        files = self._believed()
        for length in _PROBES:
            places = [(file.url, file.offset(-1)) for file in files]
            pieces = read_pieces(places, length, self._options, cost=self._cost)
            for file, piece in zip(files, pieces, strict=True):
                file.take_last(piece)
            files = [file for file in files if not file.problem and file.like is None]
        for file in files:
            file.problem = "the sections of its last message are too long to be looked at"

    def teach(self) -> None:
        """Read files until every line that can be learned was met in one of them."""
        groups = [(group[0].keys, list(group)) for group in self._by_wording()]
        left: set[Hashable] = set().union(*(keys for keys, _ in groups))
        while left:
            chosen = _cover([(keys, group) for keys, group in groups if group], left)
            files = [group.pop(0) for group in chosen]
            if not files:
                return
            for file, found in zip(files, self._at_once(self._walk, files), strict=True):
                if file.teach(found, self._walked[file.url], self._taught):
                    left -= file.keys

    def learn_more(self) -> None:
        """Read what is left open in as few files as teach it to the others."""
        for _ in range(_ROUNDS):
            wanted: list[_Group] = []
            for group in self._by_wording():
                lines = group[0].worth_reading(self._taught)
                wanted.append(({group[0].key(line) for line in lines}, group))
            # Long steps tell best where intervals begin.
            wanted.sort(key=lambda item: item[1][0].longest, reverse=True)
            left: set[Hashable] = set().union(*(keys for keys, _ in wanted))
            files = [group[0] for group in _cover(wanted, left)]
            some = [(file, file.worth_reading(self._taught)) for file in files]
            self._read(some)
            before = self._taught.state
            for file, lines in some:
                file.teach_lines(lines, self._taught)
            if not files or self._taught.state == before:
                return

    def _read(self, some: Sequence[tuple[ListedFile, Sequence[int]]]) -> None:
        self._at_once(lambda item: read_messages(item[0], item[1], self._options), some)

    def files(self) -> list[Part | RefmakerError]:
        """Return all files; those are read whose lists do not tell enough."""
        groups = self._by_wording()
        tables = MappedFields(self._taught)
        opened: dict[str, list[int]] = {}
        for group in groups:
            lines = group[0].open_lines(self._taught)
            opened |= {file.url: lines for file in group}
        self._confirm(opened)
        some = [(file, opened[file.url]) for file in self._believed()]
        self._read([(file, lines) for file, lines in some if _FEW * len(lines) <= len(file)])
        found: dict[str, Part | RefmakerError] = {}
        for file in self._believed():
            lines = opened[file.url]
            if _FEW * len(lines) <= len(file):
                found[file.url] = _mapped(file, tables)
        done = found.keys() | self._walked.keys()
        self._walk_rest([url for url in self._urls if url not in done])
        found |= self._walked
        return [found[url] for url in self._urls]

    def _confirm(self, opened: Mapping[str, Sequence[int]]) -> None:
        """Compare messages of each file with what its list is taken to say: the last, and more."""
        others: list[tuple[ListedFile, int]] = []
        for file in self._believed():
            unknown = set(opened[file.url])
            lines = [line for line in range(len(file)) if line not in unknown]
            if lines and lines[-1] == len(file) - 1:
                file.compare(lines.pop(), file.like, self._taught)
                more = self._probes - 1
            else:
                more = self._probes
            last = lines[-1:] if more == self._probes else []
            chosen = Random(file.url).sample(lines, min(more - len(last), len(lines)))  # noqa: S311
            others += [(file, line) for line in sorted({*last, *chosen})]
        places = [(file.url, file.offset(line)) for file, line in others]
        pieces = read_pieces(places, _PROBES[0], self._options, cost=self._cost)
        for (file, line), piece in zip(others, pieces, strict=True):
            if not file.problem:
                file.compare(line, file.header_at(line, piece), self._taught)

    def _walk(self, file: ListedFile) -> RecordingList:
        """Walk a file with the help of its list; return what was found."""
        found = RecordingList()
        known = Offsets(file.list_url, file.offsets)
        walked = read_part(file.url, self._options, self._values, found, known)
        if file.problem:
            _warn(walked, f"{file.list_url} is not used: {file.problem}")
        self._walked[file.url] = walked
        return found

    def _walk_rest(self, urls: Sequence[str]) -> None:
        """Walk files that have no list, or one that does not tell enough."""
        nothing = Offsets("", ())

        def walk(url: str) -> None:
            if url in self._listed:
                self._walk(self._listed[url])
                return
            walked = read_part(url, self._options, self._values, known=nothing)
            if url in self._unknown:
                name = self._unknown[url]
                _warn(walked, f"{name} is not used: it is no list that is understood")
            self._walked[url] = walked

        self._at_once(walk, urls)

    def _believed(self) -> list[ListedFile]:
        """Return the files whose lists are not known to be wrong, and that were not walked."""
        return [
            file for url, file in self._listed.items()
            if not file.problem and url not in self._walked
        ]  # fmt: skip

    def _by_wording(self) -> list[list[ListedFile]]:
        """Return these in groups of equal lines."""
        groups: dict[Hashable, list[ListedFile]] = {}
        for file in self._believed():
            groups.setdefault(file.wording, []).append(file)
        return list(groups.values())

    def _at_once(self, work: Callable[[Any], _T], things: Sequence[Any]) -> list[_T]:
        """Do something for files, side by side where they are waited for."""
        if len(things) < 2 or all(local_path(url) is not None for url in self._urls):
            return [work(thing) for thing in things]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(work, things))


def _count(text: str) -> int:
    """Return how many messages of each file are looked at."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text)):
        raise MetadataError(
            f"setting probes is {text!r}", hint="it is a number of messages, 1 or more"
        )
    return int(text)


def _warn(walked: Part | RefmakerError, text: str) -> None:
    """Warn of something in the account of a file, if it has one."""
    if isinstance(walked, tuple):
        walked[1].warn(text)


def _mapped(file: ListedFile, tables: MappedFields) -> Part:
    report = ScanReport(file.url, format="grib")
    if file.fingerprint is not None:
        report.sources = {file.url: file.fingerprint}
    reading = f"; {len(file.read)} of its messages were read" if file.read else ""
    name = file.list_url.rpartition("/")[2]
    text = f"{len(file)} fields known from the list {name}{reading}"
    report.add(file.url, Outcome.METADATA, text, "from-list")
    report.requests, report.bytes_read = file.cost.requests, file.cost.bytes_read
    report.rounds = file.cost.rounds
    return tables.fields(file).to_bytes(), report


def _cover(groups: Iterable[_Group], wanted: set[Hashable]) -> list[list[ListedFile]]:
    """Return groups that have all wanted keys together, those that have most of them first."""
    left, rest = set(wanted), list(groups)
    chosen = []
    while left and rest:
        best = max(rest, key=lambda item: len(item[0] & left))
        if not best[0] & left:
            break
        left -= best[0]
        chosen.append(best[1])
        rest.remove(best)
    return chosen
