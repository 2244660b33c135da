"""Counts and sizes as people read them."""

from __future__ import annotations

__all__ = ["counted", "human_size"]


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return ``1 chunk`` or ``3 chunks``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or f'{noun}s'}"


def human_size(nbytes: float) -> str:
    """Return a number of bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"
