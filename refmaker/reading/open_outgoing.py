"""Reference sets opened for others: in either version of Zarr, their chunks recoded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.zarr_v3 import zarr_format_of
from refmaker.reading.open import loaded, open_store, open_version
from refmaker.reading.outgoing import Outgoing
from refmaker.reading.recoded_chunks import RecodedChunks
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.reading.open import Refs

__all__ = ["open_outgoing"]


def open_outgoing(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    *,
    zarr_format: str | int = "auto",
    recode: str | None = None,
    **opening: Any,
) -> Outgoing:
    """Open what of a reference set may be handed to others.

    Parameters
    ----------
    refs, storage_options, **opening
        As for `open_store`.
    zarr_format : {"auto", 2, 3}
        Version of Zarr of the metadata; by default the one that the set is in.
    recode : {"raw", "zstd", "gzip"}, optional
        Decode every chunk, and leave it so or encode it by this codec alone; by default chunks
        are as in the files.

    Raises
    ------
    UnsupportedError
        If the version of Zarr cannot say what is there.
    RefmakerError
        As `open_store`.
    """
    if zarr_format not in ("auto", 2, 3):
        raise ValueError(f"zarr_format is {zarr_format!r}, not 'auto', 2 or 3")
    if zarr_format == "auto" and recode is None:
        return Outgoing(open_store(refs, storage_options, **opening).reader)
    how = {name: opening.pop(name) for name in ("reference_options", "scan") if name in opening}
    held = loaded(refs, storage_options, **how, allow=opening.get("allow"))
    if recode is None:
        version = int(zarr_format)
        return Outgoing(open_version(held, version, storage_options, **opening).reader)
    group, known = (held.group, held.zarr_format) if isinstance(held, ReferenceSet) else (held, 2)
    source = open_version(held, zarr_format_of(group), storage_options, **opening)
    asked = None if zarr_format == "auto" else int(zarr_format)
    return RecodedChunks(source, group, recode, asked, known)
