"""What external links lead to: an array or group of another file, seen from a group of this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refmaker.model import Array
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.scanners.hdf5.dimensions import PHONY, Scale

if TYPE_CHECKING:
    from refmaker.model import Group
    from refmaker.model.report import ObjectReport

__all__ = ["LinkedObject", "unlimited_of"]


@dataclass(slots=True)
class LinkedObject:
    """What one external link leads to.

    Parameters
    ----------
    node : Array, Group or Exception
        What was found, or why nothing was.
    rows : list of ObjectReport
        Of what lies below a group, their paths from there.
    unlimited : frozenset of str
        The dimensions of the other file's group that are unlimited.
    number : int
        Stands for an array where those of this file have an address.
    """

    node: Array | Group | Exception
    rows: list[ObjectReport]
    unlimited: frozenset[str]
    number: int = 0

    def scale(self, path: str) -> Scale | None:
        """Return what names the dimensions of an array; None for anything else.

        Parameters
        ----------
        path : str
            Of the link.
        """
        if not isinstance(self.node, Array):
            return None
        names = self.node.dimension_names or ("",) * len(self.node.shape)
        labels = tuple("" if name.startswith(PHONY) or "/" in name else name for name in names)
        extents = zip(self.node.shape, names, strict=True)
        maxshape = tuple(None if name in self.unlimited else n for n, name in extents)
        return Scale(path, self.node.shape, maxshape, labels=labels, foreign=True)


def unlimited_of(group: Group, path: str) -> frozenset[str]:
    """Return the unlimited dimensions of the group in which an object lies."""
    parent = path.rpartition("/")[0]
    home = group[parent] if parent else group
    return frozenset(home.attributes.get(UNLIMITED, ()))
