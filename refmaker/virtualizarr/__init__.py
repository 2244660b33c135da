"""refmaker's scanners in VirtualiZarr, and virtual datasets back as reference sets.

``parser``
    `Parser`: what ``virtualizarr.open_virtual_dataset`` takes, for every format.
``to_manifests``
    Chunk tables to chunk manifests: `to_store`.
``from_manifests``
    And back: `from_store`.
``datasets``
    Virtual xarray datasets, after concat, rename, isel: `from_dataset`.
``library``
    VirtualiZarr itself, if there is one that does.

Everything here needs VirtualiZarr 2.8 or later (extra ``virtualizarr``), which needs Python 3.12.
"""

from __future__ import annotations

from refmaker.virtualizarr.datasets import from_dataset
from refmaker.virtualizarr.from_manifests import from_store
from refmaker.virtualizarr.parser import Parser
from refmaker.virtualizarr.to_manifests import to_store

__all__ = ["Parser", "from_dataset", "from_store", "to_store"]
