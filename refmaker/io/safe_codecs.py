"""Codecs of a stored set before its values are decoded here: none that does more than decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.model.zarr_v2 import dumps

if TYPE_CHECKING:
    from refmaker.io.policy import Policy
    from refmaker.model import Array

__all__ = ["check_codecs"]

_SAFE: set[tuple[tuple[str, ...], str]] = set()
_REMEMBERED = 4096


def check_codecs(policy: Policy, path: str, array: Array) -> None:
    """Refuse codecs that are not known to be safe; those of this package are registered.

    Parameters
    ----------
    policy : Policy
        What the set may do.
    path : str
        Of the array, for messages.
    array : Array
        Its codecs are looked at.

    Raises
    ------
    PolicyError
        If it names one that is not known to decode and do nothing else.
    """
    from refmaker.codecs import register

    text = dumps([dict(codec) for codec in array.codecs])
    if (policy.codecs, text) in _SAFE:
        return
    document = {"shape": [], "filters": [dict(codec) for codec in array.codecs]}
    policy.check_document(f"{path}/.zarray", dumps(document).encode())
    if "refmaker." in text:
        register()
    if len(_SAFE) < _REMEMBERED:
        _SAFE.add((policy.codecs, text))
