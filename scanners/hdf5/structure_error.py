"""Why a file has no outline; see `refmaker.scanners.hdf5.structure`."""

from __future__ import annotations

__all__ = ["StructureMismatchError"]


class StructureMismatchError(Exception):
    """A file is not like another, or nothing is known of its kind: h5py reads it."""
