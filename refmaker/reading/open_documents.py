"""Reference documents that this process has open, so that each is read once."""

from __future__ import annotations

import ctypes
import os
import zlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from refmaker.errors import SourceChangedError
from refmaker.io.files import STANDARD, read_file
from refmaker.io.local_file import local_path
from refmaker.reading.reader import Options, Reader
from refmaker.storage.detect import reference_form
from refmaker.storage.json_parser import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.storage.limits import Limits
    from refmaker.storage.reference_index import Lookup

__all__ = ["DocumentLocation", "open_reader"]

_LARGE = 1 << 20
"""Bytes of a document after which it is worth asking for memory back."""
_BLANK = 64
KEPT = 8
"""Documents kept for whoever opens them next."""


@dataclass(frozen=True)
class DocumentLocation:
    """Where a document is, and what it was when it was opened.

    Parameters
    ----------
    url : str
    reference_options : mapping
        For fsspec.
    token : tuple of int, optional
        Bytes and checksum of the document; None as long as they are not known.
    """

    url: str
    reference_options: Mapping[str, Any]
    token: tuple[int, int] | None = None

    def restore(self, options: Options) -> Reader:
        """Return a reader of the document, which must not have changed.

        Raises
        ------
        SourceChangedError
            If it is another one now.
        """
        return open_reader(self.url, self.reference_options, options, self.token)


@dataclass(slots=True)
class _Opened:
    references: Lookup
    token: tuple[int, int]
    state: tuple[int, int] | None
    """Size and time of a local file."""


_opened: OrderedDict[str, _Opened] = OrderedDict()
_lock = Lock()
_locks: dict[str, Lock] = {}


def open_reader(
    url: str,
    reference_options: Mapping[str, Any] | None = None,
    options: Options | None = None,
    token: tuple[int, int] | None = None,
) -> Reader:
    """Open a reference document.

    Parameters
    ----------
    url : str
        Path or URL of a JSON document or of a folder of Parquet files.
    reference_options : mapping, optional
        Passed to fsspec for the document.
    options : Options, optional
        How to read what it references.
    token : tuple of int, optional
        What the document must be, for readers that come from another process.

    Raises
    ------
    SourceError
        If the document cannot be read.
    SourceChangedError
        If it is not the one that `token` means.
    MetadataError, LimitError, PolicyError
        If it is no reference set, or one that is not to be trusted.
    """
    options = options or Options()
    given = dict(reference_options or {})
    name = repr((url, sorted(given.items(), key=lambda item: item[0]), options.limits))
    with _lock:
        lock = _locks.setdefault(name, Lock())
    with lock:
        found = _known(name, url, token)
        if found is None:
            found = _load(url, given, options.limits)
            with _lock:
                _opened[name] = found
                _opened.move_to_end(name)
                while len(_opened) > KEPT:
                    _locks.pop(_opened.popitem(last=False)[0], None)
    if token is not None and found.token != token:
        raise SourceChangedError(
            "the reference document changed since it was opened", url=url, hint="open it again"
        )
    return Reader(found.references, url, options, DocumentLocation(url, given, found.token))


def _known(name: str, url: str, token: tuple[int, int] | None) -> _Opened | None:
    """Return what is open already, if it is surely still the same."""
    with _lock:
        found = _opened.get(name)
        if found is not None:
            _opened.move_to_end(name)
    if found is None or (token is not None and found.token == token):
        return found
    # A document from afar is fetched anew: asking whether it changed costs as much.
    return found if found.state is not None and found.state == _state(url) else None


def _state(url: str) -> tuple[int, int] | None:
    path = local_path(url)
    if path is None or path == STANDARD:
        return None
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return state.st_size, state.st_mtime_ns


def _load(url: str, given: Mapping[str, Any], limits: Limits) -> _Opened:
    state = _state(url)
    path = local_path(url)
    if (path is None or os.path.isdir(path)) and reference_form(url, given) == "parquet":
        from refmaker.reading.lazy_parquet import LazyParquetReferences

        records = LazyParquetReferences(url, given, limits=limits)
        return _Opened(records, records.token, None)
    data = read_file(url, given)
    if not data[:_BLANK].lstrip().startswith(b"{") and url != STANDARD:
        reference_form(url, given)  # compressed, or else this says what it is instead
    token = len(data), zlib.crc32(data)
    found = _Opened(parse(data, url, limits=limits), token, state)
    if len(data) > _LARGE:
        del data
        _give_back()
    return found


def _give_back() -> None:
    """Return freed memory to the system.

    Parsing leaves many small holes; the C library of Linux would keep them for the process,
    seven times as much as the references take.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
