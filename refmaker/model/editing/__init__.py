"""Editing a reference set as xarray would edit the dataset: exactly, and without its bytes.

Every function takes the root group and returns another one. Chunks never change: they are chosen,
numbered anew, or given to another name. Where arrays come from goes along (`Array.origin`).

``places``
    Groups and arrays by path, and where each array comes from.
``companions``
    CF attributes that name other variables.
``selection``
    `select`, `drop`.
``renaming``
    `rename`.
``slicing``
    `isel`, `squeeze`.
``dimensions``
    `expand_dims`.
``assignment``
    `assign_attrs`, `assign_coords`.
``merging``
    `merge`.
"""

from refmaker.model.editing.assignment import assign_attrs, assign_coords
from refmaker.model.editing.dimensions import expand_dims
from refmaker.model.editing.merging import merge
from refmaker.model.editing.places import settled, stamped
from refmaker.model.editing.renaming import rename
from refmaker.model.editing.selection import drop, select
from refmaker.model.editing.slicing import isel, squeeze

__all__ = [
    "assign_attrs", "assign_coords", "drop", "expand_dims", "isel", "merge", "rename", "select",
    "settled", "squeeze", "stamped",
]  # fmt: skip
