"""What somebody who is about to read a reference set should know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["advise"]

_MANY = 10_000
_SMALL = 32 * 1024
_LARGE = 128 * 1024**2
_WIDE = 16
"""How much wider than high a chunk may be, measured in parts of the array, before it is told."""


def advise(entries: Sequence[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return advice in sentences, what matters most first.

    Parameters
    ----------
    entries : sequence of mapping
        The ``arrays`` of `refmaker.describe`.
    targets : sequence of mapping
        Its ``targets``.
    """
    found: list[str] = []
    for entry in sorted(entries, key=lambda entry: -entry["nbytes"]):
        found += _of_array(entry)
    remote = [target for target in targets if "://" in target["url"]]
    local = len(targets) - len(remote)
    if local and remote:
        found.append(
            f"{counted(local, 'file')} of this machine and {len(remote)} remote: a set that is to "
            "be shared needs all of them where others can reach them ('refmaker convert --rewrite')"
        )
    return found


def _of_array(entry: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    counts, path = entry["chunks"], entry["path"] or "/"
    referenced = counts["referenced"]
    if referenced:
        mean = entry["stored"] / referenced
        if referenced >= _MANY and mean < _SMALL:
            found.append(
                f"{path}: {counted(referenced, 'chunk')} of {human_size(mean)}: reading much of it "
                "is slow through stock readers; refmaker's merges neighbouring requests"
            )
        size = entry["nbytes"] / max(counts["total"], 1)
        if size > _LARGE:
            found.append(
                f"{path}: chunks of {human_size(size)} when decoded: every value costs that much "
                "memory and time"
            )
    if counts["absent"] and counts["absent"] != counts["total"]:
        share = 100 * counts["absent"] / counts["total"]
        found.append(
            f"{path}: {counts['absent']:,} of {counted(counts['total'], 'chunk')} "
            f"({share:.0f} %) are absent and read as the fill value"
        )
    lopsided = _lopsided(entry)
    if lopsided and referenced >= _WIDE:
        found.append(f"{path}: {lopsided}")
    return found


def _lopsided(entry: Mapping[str, Any]) -> str:
    """Tell where chunks are whole along one dimension and thin along another."""
    shape, chunk = entry["shape"], entry["chunk_shape"]
    names = entry["dimensions"] or [f"dimension {n}" for n in range(len(shape))]
    parts = entry["grid"]
    thin = [name for name, n, c in zip(names, parts, chunk, strict=True) if c == 1 and n >= _WIDE]
    whole = [name for name, n, extent in zip(names, parts, shape, strict=True) if n == 1 < extent]
    if not thin or not whole:
        return ""
    count = parts[names.index(thin[0])]
    return (
        f"one value of {' and '.join(whole)} along all of {thin[0]} takes "
        f"{counted(count, 'chunk')}; all of {' and '.join(whole)} at one {thin[0]} takes one"
    )
