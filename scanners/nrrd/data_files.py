"""Where the data of an NRRD file lie: behind its header, in another file, or in several.

Implements the fields ``data file`` (one name, a pattern as of printf, a list), ``line skip`` and
``byte skip`` of "Definition of NRRD File Format" (teem).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError, UnsupportedError
from refmaker.io.related_files import RelatedFiles
from refmaker.scanning.raw_data import Block

if TYPE_CHECKING:
    from refmaker.io.source import Source
    from refmaker.scanners.nrrd.header import Header

__all__ = ["data_blocks", "file_names"]

_FILES = 1 << 16
"""Files of one array."""
_LINES = 1024**2
"""Bytes of lines that are skipped before the data."""
_PATTERN = re.compile(r"(.*%0?\d{0,2}d.*?)\s+(-?\d{1,9})\s+(-?\d{1,9})\s+(-?\d{1,9})(?:\s+(\d+))?")
_LIST = re.compile(r"LIST(?:\s+(\d+))?")


def file_names(header: Header) -> list[str]:
    """Return the names of the files with the data, in order; none if they follow the header.

    Raises
    ------
    FormatError
        If they cannot hold equal parts of the array.
    LimitError
        If there are too many of them.
    """
    told = header.fields.get("datafile")
    if told is None:
        return []
    if (listed := _LIST.fullmatch(told)) is not None:
        names, below = list(header.files), listed[1]
    elif (pattern := _PATTERN.fullmatch(told)) is not None:
        first, last, step = (int(pattern[at]) for at in (2, 3, 4))
        numbers = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
        if len(numbers) > _FILES:
            raise LimitError(f"its data lie in {len(numbers)} files", url=header.url)
        names, below = [pattern[1] % number for number in numbers], pattern[5]
    else:
        return [told]
    shape = header.shape()
    rank = int(below) if below is not None else len(shape) - 1
    parts = 1
    for extent in shape[rank:]:
        parts *= extent
    fits = len(names) == parts if rank < len(shape) else names and shape[-1] % len(names) == 0
    if not 1 <= rank <= len(shape) or not fits or len(names) > _FILES:
        text = f"its data lie in {len(names)} files of {rank} dimensions each, its shape is {shape}"
        raise FormatError(text, url=header.url)
    return names


def data_blocks(
    header: Header,
    source: Source,
    names: list[str],
    nbytes: int,
    files: RelatedFiles,
    *,
    anywhere: bool,
) -> tuple[Block, ...]:
    """Return where the data lie.

    Parameters
    ----------
    header : Header
        Says what is skipped before them.
    source : Source
        The file with the header.
    names : list of str
        As `file_names` returns them.
    nbytes : int
        Bytes of all elements.
    files : RelatedFiles
        Opens the one file beside the header, and keeps it open.
    anywhere : bool
        Whether names of several files may lead out of the header's folder.

    Raises
    ------
    UnsupportedError
        If bytes before compressed data are skipped, on which readers disagree.
    FormatError
        If lines to skip do not end.
    """
    lines, skipped = header.whole("lineskip", 0), header.whole("byteskip", 0)
    encoding = header.encoding
    if lines < 0 or skipped < -1 or (skipped and encoding != "raw"):
        # The definition skips bytes of what is unpacked; pynrrd skips those of the file as well.
        told = f"line skip {lines} and byte skip {skipped} with the encoding {encoding}"
        raise UnsupportedError(told, code="nrrd-skip", url=source.url, hint="unu save -e raw")
    raw, share = encoding == "raw", nbytes // max(1, len(names))
    if not names:
        return (_block(source, header.size, lines, skipped, share, raw=raw),)
    if len(names) == 1:
        return (_block(files.open(names[0]), 0, lines, skipped, share, raw=raw),)
    found = []
    for name in names:
        # One after the other: there may be more of them than a process may have open.
        with RelatedFiles(source, anywhere=anywhere) as one:
            found.append(_block(one.open(name), 0, lines, skipped, share, raw=raw))
    return tuple(found)


def _block(file: Source, start: int, lines: int, skipped: int, share: int, *, raw: bool) -> Block:
    """Return where the data of one file lie."""
    if lines:
        start += _line_bytes(file, start, lines)
    if not raw:
        return Block(file, 0, start)
    return Block(file, file.size - share if skipped == -1 else start + skipped)


def _line_bytes(file: Source, start: int, lines: int) -> int:
    """Return how many bytes a number of lines have."""
    found = file.read_upto(start, _LINES).split(b"\n", lines)
    if len(found) <= lines:
        told = f"{lines} lines are to be skipped, which do not end within {_LINES} bytes"
        raise FormatError(told, url=file.url, offset=start)
    return sum(map(len, found[:-1])) + lines
