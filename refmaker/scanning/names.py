"""Names that files give, as parts of Zarr keys."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["key_name"]

_UNFIT: Final = re.compile(r"[/\\\x00-\x1f\x7f]")


def key_name(name: str) -> str:
    """Return a name that can be part of a Zarr key: as it is, if it can.

    Parameters
    ----------
    name : str
        As the file has it.
    """
    fit = _UNFIT.sub("_", name)
    return f"_{fit}" if fit.startswith(".") or not fit else fit
