"""The xarray engine ``refmaker``."""

from __future__ import annotations

import os
import re
import zlib
from typing import Any, ClassVar

from refmaker.codecs.native_libraries import load_proj_before_eccodes
from refmaker.io.source import local_path
from refmaker.reading.xarray_store import PARAMETERS, StoreBackend
from refmaker.storage.formats import COMPACT, is_reference_folder
from refmaker.storage.json_parser import decompressed

__all__ = ["RefmakerBackend", "is_reference_set"]

# xarray imports this module when it lists its engines, with some luck before that of cfgrib.
load_proj_before_eccodes()

_HEAD = 1 << 16
_WHOLE = 1 << 25
_CHAIN = "refmaker::"
_VERSION = re.compile(rb'\A\s*\{\s*"version"\s*:\s*(?:1|"' + COMPACT.encode() + rb'")\s*,\s*"')
_MEMBERS = re.compile(rb'"(?:refs|gen|templates)"\s*:\s*[\[{]')
_FIRST = re.compile(rb'\A\s*\{\s*"(?:[^"\\]|\\.)*\.z(?:group|array|metadata|attrs)"\s*:')
"""A set without a version begins with metadata, as far as it can be told from other JSON."""


def is_reference_set(name: Any) -> bool:
    """Tell by its content whether a local file or folder is a reference set.

    Parameters
    ----------
    name : object
        A path, or what else xarray was given. Files from afar are not looked at; of those
        only what is written ``refmaker::URL`` is one.
    """
    if not isinstance(name, str | os.PathLike):
        return False
    text = os.fspath(name)
    if text.startswith(_CHAIN):
        return True
    path = local_path(text)
    try:
        if path is None:
            return False
        if os.path.isdir(path):
            return is_reference_folder(path)
        with open(path, "rb") as file:
            head = _start(file.read(_HEAD), path)
    except (OSError, ValueError):
        return False
    if _VERSION.match(head) is not None:
        return _MEMBERS.search(head) is not None
    return _FIRST.match(head) is not None


def _start(head: bytes, path: str) -> bytes:
    """Return the first bytes of a text, which may be compressed."""
    if head[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
        except zlib.error:
            return b""
    if head[:4] == b"\x28\xb5\x2f\xfd" and ".json" in os.path.basename(path):
        # Nothing that is at hand unpacks the beginning alone.
        with open(path, "rb") as file:
            return decompressed(file.read(_WHOLE), _WHOLE * 16)[:_HEAD]
    return head


class RefmakerBackend(StoreBackend):
    """Opens reference sets: ``xarray.open_dataset("cube.json", engine="refmaker")``."""

    description = "Open reference sets (kerchunk JSON and Parquet) using refmaker"
    _OWN: ClassVar[frozenset[str]] = frozenset(
        {
            *("storage_options", "reference_options", "verify_sources", "allow", "codecs"),
            *("cache_bytes", "plan"),
        }
    )
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = (
        *PARAMETERS,
        *("storage_options", "reference_options", "verify_sources", "allow", "codecs"),
    )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell by its content whether a file is a reference set."""
        return is_reference_set(filename_or_obj)

    def _store(self, name: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        from refmaker.reading.open import open_store

        ours = {key: value for key, value in kwargs.items() if key in self._OWN}
        rest = {key: value for key, value in kwargs.items() if key not in self._OWN}
        if isinstance(name, str | os.PathLike):
            name = os.fspath(name).removeprefix(_CHAIN)
        store = open_store(name, **{key: value for key, value in ours.items() if value is not None})
        return super()._store(store, rest)
