"""What a set remembers of the tables that it was made of, so that more files can be joined to it.

A set says where every chunk lies. What else a table holds is the same for all files of one kind:
that alone is kept with the set, and a table is regained from both. The tree is built of numbers
in place of offsets, which says the chunk of every field.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError
from refmaker.model.report import ScanReport
from refmaker.scanners.grib.assembly import SETTINGS, UNSORTED, assemble
from refmaker.scanners.grib.file_fields import FileFields
from refmaker.scanners.grib.message_table import joined
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import ChunkTable, Group

__all__ = ["regained", "remembered"]

_VERSION = 1
_MOST = 2**28
"""Bytes of all kinds of files together at most; a set of more remembers nothing."""
_BROKEN = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What a document raises that is none of ours."""


def remembered(files: Sequence[FileFields], options: ScanOptions) -> dict[str, Any]:
    """Return what a set keeps of its files, as a JSON object.

    Parameters
    ----------
    files : sequence of FileFields
        In the order of the set's sources.
    """
    kinds: dict[bytes, int] = {}
    firsts: list[FileFields] = []
    told: list[list[Any]] = []
    for file in files:
        number = kinds.setdefault(file.common, len(kinds))
        if number == len(firsts):
            firsts.append(file)
        own = file.grid_places != firsts[number].grid_places
        told.append([number, file.base, *([file.grid_places] if own else [])])
    # Files of the next hour are nearly the same: together they take a tenth.
    bodies = [zlib.decompress(kind) for kind in kinds]
    if sum(map(len, bodies)) > _MOST:
        # That the set was joined is worth knowing all the same.
        return {"version": _VERSION}
    return {
        "version": _VERSION,
        "inline": options.inline_threshold,
        "kinds": [
            [len(body), len(file.offset), file.grid_places]
            for body, file in zip(bodies, firsts, strict=True)
        ],
        "bodies": base64.b64encode(zlib.compress(b"".join(bodies), 6)).decode(),
        "files": told,
    }


def regained(
    group: Group, report: ScanReport, values: dict[str, str]
) -> list[tuple[FileFields, ScanReport]] | None:
    """Return the tables that a set was made of; None where they cannot be told from it.

    Parameters
    ----------
    report : ScanReport
        What the set says of itself.
    values : dict
        Of the scanner's settings that the set was made with.
    """
    try:
        chunks = sum(array.chunks.referenced for _, array in group.arrays())
        files = _files(report.parts, chunks)
        if files is None or len(files) != len(report.sources):
            return None
        options = ScanOptions(inline_threshold=int(report.parts["inline"]))
        places = _places(group, files, list(report.sources), values, options)
    except (*_BROKEN, zlib.error, binascii.Error, RefmakerError):
        # Somebody else's set, or one that was changed since.
        return None
    if places is None:
        return None
    found, at = [], 0
    for file, (url, fingerprint) in zip(files, report.sources.items(), strict=True):
        part = places[:, at : at + len(file.offset)]
        at += len(file.offset)
        account = ScanReport(url, format="grib", sources={url: fingerprint})
        found.append(
            (FileFields(file.common, file.base, part[0], part[1], file.grid_places), account)
        )
    return found


def _files(document: Mapping[str, Any], most: int) -> list[FileFields] | None:
    """Return the files with numbers of their fields, counted on, in place of offsets."""
    if document.get("version") != _VERSION:
        return None
    counts = [int(count) for _, count, _ in document["kinds"]]
    if min(counts) < 0 or sum(counts[kind] for kind, *_ in document["files"]) > most:
        return None
    body = zlib.decompressobj().decompress(
        base64.b64decode(document["bodies"], validate=True), _MOST
    )
    kinds, at = [], 0
    for size, count, places in document["kinds"]:
        common = zlib.compress(body[at : at + size], 1)
        kinds.append((common, count, [(int(o), int(n)) for o, n in places]))
        at += size
    files, number = [], 0
    for kind, base, *own in document["files"]:
        common, count, places = kinds[kind]
        if own:
            places = [(int(o), int(n)) for o, n in own[0]]
        numbers = np.arange(number, number + count)
        number += count
        files.append(FileFields(common, int(base), numbers, np.ones(count, np.int64), places))
    return files


def _places(
    group: Group,
    files: list[FileFields],
    urls: list[str],
    values: dict[str, str],
    options: ScanOptions,
) -> NDArray[np.int64] | None:
    """Return offset and length of every field, shape (2, n), if the tree is that of the files."""
    table = joined(files)
    numbered = assemble(table, urls, values, options, ScanReport(""))
    if group.attributes.get(SETTINGS) != numbered.attributes.get(SETTINGS):
        return None
    places = np.full((2, len(table)), -1)
    stored = dict(group.arrays())
    numbers = {url: number for number, url in enumerate(urls)}
    for path, array in numbered.arrays():
        codec = (array.compressor or {}).get("id")
        if codec != "refmaker.grib" and not path.startswith(f"{UNSORTED}/"):
            continue
        found = stored.get(path)
        if found is None or not _fill(places, array.chunks, found.chunks, numbers):
            return None
    return places if bool((places >= 0).all()) else None


def _fill(
    places: NDArray[np.int64], ours: ChunkTable, theirs: ChunkTable, numbers: Mapping[str, int]
) -> bool:
    """Note where the fields of an array lie; tell whether it has the same chunks of the files."""
    if ours.grid != theirs.grid or theirs.inlined or ours.referenced != theirs.referenced:
        return False
    alike = ours.numbers() == theirs.numbers()
    alike &= _files_of(ours, numbers) == _files_of(theirs, numbers)
    fields = ours.offset.astype(np.int64)
    places[0, fields], places[1, fields] = theirs.offset, theirs.length
    return bool(alike.all())


def _files_of(table: ChunkTable, numbers: Mapping[str, int]) -> NDArray[np.int64]:
    known = np.array([numbers[url] for url in table.urls], np.int64)
    return np.full(table.referenced, known[0]) if table.url is None else known[table.url]
