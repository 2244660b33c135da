"""What a path or URL is: a reference set, and of which form, or something else.

==============  ==================================================================
``references``  JSON (compressed or not, compact or not), or a folder of Parquet
``icechunk``    an Icechunk repository
``zarr``        a folder that is a Zarr store with chunks of its own
``folder``      any other folder
``file``        any other file, such as one that can be scanned
==============  ==================================================================
"""

from __future__ import annotations

import os
import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import MetadataError, RefmakerError
from refmaker.io.files import STANDARD
from refmaker.io.local_file import local_path
from refmaker.io.stores import STORE_DOCUMENTS, is_store_document, resolve_store
from refmaker.storage.formats import COMPACT, format_of_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Detected", "detect", "is_reference_folder", "reference_form"]

_HEAD = 1 << 16
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLANKS = b" \t\r\n\xef\xbb\xbf"
_VERSION = re.compile(rb'"version"\s*:\s*(?:[01]|"' + COMPACT.encode() + rb'")\s*[,}]')
_MEMBER = re.compile(rb'"(?:refs|gen|templates)"\s*:\s*[\[{]')
_METADATA = re.compile(rb'"(?:[^"\\]|\\.)*\.z(?:group|array|metadata|attrs)"\s*:')
_FIRST = re.compile(rb"\A[ \t\r\n]*\{[ \t\r\n]*" + _METADATA.pattern)
_REPOSITORY = ("repo", "refs/branch.main/ref.json")
"""Files of every Icechunk repository, of version 2 and of version 1."""


class Detected(NamedTuple):
    """What something is.

    Parameters
    ----------
    kind : {"references", "icechunk", "zarr", "folder", "file"}
        See the table above.
    form : {"", "json", "compact", "parquet", "icechunk"}
        How references are stored.
    compression : {"", "gzip", "zstd"}
        How a file is compressed as a whole.
    format : str
        Name of the scanner that recognises a file, if that was asked for.
    sure : bool
        Whether the content says so, and not only the name or the first letter.
    """

    kind: str
    form: str = ""
    compression: str = ""
    format: str = ""
    sure: bool = True

    def told(self) -> str:
        """Return in words what it is."""
        packed = f", compressed by {self.compression}" if self.compression else ""
        if self.kind == "file":
            return f"a data file ({self.format}){packed}" if self.format else f"a file{packed}"
        return {
            "references": f"a reference set ({self.form}{packed})",
            "icechunk": "an Icechunk repository",
            "zarr": "a Zarr store with chunks of its own",
        }.get(self.kind, "a folder")


def detect(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format_of: Callable[[bytes, str], str] | None = None,
) -> Detected:
    """Tell what a path or URL is.

    Parameters
    ----------
    url : str or os.PathLike
        ``-`` counts as a reference set. Of a URL that is no file the name decides; of one without
        ending two requests tell whether it is an Icechunk repository.
    format_of : callable, optional
        Given the first bytes of a file and its URL, the name of its format, or nothing.

    Raises
    ------
    SourceError
        If it is not there, or cannot be read; a file costs one request.
    """
    name = os.fspath(url)
    if name == STANDARD:
        return Detected("references", "json", sure=False)
    path = local_path(name)
    if path is not None and os.path.isdir(path):
        return _folder(path)
    store = resolve_store(name, storage_options)
    if store != name:
        return Detected("zarr", sure=False)
    form = format_of_name(name)
    if path is None and (form == "icechunk" or _is_far_repository(name, storage_options)):
        return Detected("icechunk", "icechunk", sure=form != "icechunk")
    if path is None and (form == "parquet" or name.endswith("/")):
        return Detected("references", "parquet", sure=False)
    from refmaker.io.source import Source

    with Source(name, storage_options, unpack=True) as source:
        head = source.read_upto(0, _HEAD)
    return _file(head, name, format_of)


def reference_form(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> str:
    """Return the form of a reference set: ``json`` (compact or not), ``parquet``, ``icechunk``.

    Raises
    ------
    MetadataError
        If it is something else; the hint says what to do with that.
    SourceError
        If a local file cannot be read. Files from afar are not asked for here.
    """
    name = os.fspath(url)
    if local_path(name) is None and format_of_name(name) == "json" and not name.endswith("/"):
        return "icechunk" if _is_far_repository(name, storage_options) else "json"
    found = detect(name, storage_options)
    if found.kind == "references":
        return "parquet" if found.form == "parquet" else "json"
    if found.kind == "icechunk":
        return "icechunk"
    raise MetadataError(
        f"not a reference set: it is {found.told()}", url=name, hint=_next_step(name, found)
    )


def _is_far_repository(name: str, storage_options: Mapping[str, Any] | None) -> bool:
    """Tell whether a URL whose name says nothing has the files of an Icechunk repository."""
    from refmaker.io.source import Source

    if name.endswith("/") or "." in name.rpartition("/")[2] or "::" in name:
        return False
    for inner in _REPOSITORY:
        with suppress(RefmakerError), Source(f"{name}/{inner}", storage_options):
            return True
    return False


def _next_step(name: str, found: Detected) -> str:
    if found.kind == "zarr":
        return f"open it as it is: xarray.open_zarr({name!r}), or scan it"
    if found.compression:
        return "unpack it, and scan what is in it"
    return f"if it can be scanned, scan it first: refmaker scan {name} -o refs.json"


def _folder(path: str) -> Detected:
    if os.path.isdir(os.path.join(path, "snapshots")):
        return Detected("icechunk", "icechunk")
    if is_reference_folder(path):
        return Detected("references", "parquet")
    if any(os.path.isfile(os.path.join(path, name)) for name in STORE_DOCUMENTS):
        return Detected("zarr")
    return Detected("folder")


def is_reference_folder(path: str) -> bool:
    """Tell whether a local folder is a reference set as Parquet."""
    from refmaker.io.folders import open_folder
    from refmaker.storage.parquet_reader import read_metadata

    if not os.path.isfile(os.path.join(path, ".zmetadata")):
        return False
    try:
        read_metadata(open_folder(path))
    except (RefmakerError, OSError):
        return False
    return True


def _file(head: bytes, name: str, format_of: Callable[[bytes, str], str] | None) -> Detected:
    compression, text = _unpacked(head)
    if is_store_document(head, name):
        return Detected("file", format=format_of(head, name) if format_of is not None else "")
    if compression == "zstd" and not text:
        # Nothing that is at hand unpacks the beginning alone: the name has to say it.
        if ".json" in name.rpartition("/")[2]:
            return Detected("references", "json", "zstd", sure=False)
        return Detected("file", compression="zstd")
    if text.lstrip(_BLANKS).startswith(b"{"):
        form = "compact" if COMPACT.encode() in text[:1024] else "json"
        sure = _VERSION.search(text) is not None and _MEMBER.search(text) is not None
        # The search takes long in a text that is cut, and so comes last.
        sure = sure or _FIRST.match(text) is not None
        sure = sure or (
            _MEMBER.search(text[:1024]) is not None and _METADATA.search(text) is not None
        )
        return Detected("references", form, compression, sure=sure)
    if text.lstrip(_BLANKS).startswith(b"[") and _MEMBER.search(text) and _METADATA.search(text):
        # A list of sets, which the parser refuses in words that fit.
        return Detected("references", "json", compression)
    known = format_of(head, name) if format_of is not None and not compression else ""
    return Detected("file", compression=compression, format=known)


def _unpacked(head: bytes) -> tuple[str, bytes]:
    """Return how a file is compressed, and the first bytes of what is in it, if they show."""
    if head.startswith(_GZIP):
        try:
            return "gzip", zlib.decompressobj(wbits=31).decompress(head, _HEAD)
        except zlib.error:
            return "gzip", b""
    if head.startswith(_ZSTD):
        from refmaker.storage.json_parser import decompressed

        try:
            # All of a small document; of a larger one nothing.
            return "zstd", decompressed(head, _HEAD * 64)
        except RefmakerError:
            return "zstd", b""
    return "", head
