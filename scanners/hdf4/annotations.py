"""Annotations: labels and descriptions of the file and of objects in it.

Implements DFTAG_FID, DFTAG_FD, DFTAG_DIL and DFTAG_DIA (HDF Specification 4.2, section 3.3.5).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from refmaker.errors import RefmakerError
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4.attributes import text_of
from refmaker.scanners.hdf4.datasets import DATA, NDG, SDG

if TYPE_CHECKING:
    from refmaker.scanners.hdf4.datasets import Dataset, FileTables

__all__ = ["annotate", "file_annotations"]

_FILE: Final = {100: "file_label", 101: "file_description"}
_DATA: Final = {104: "label", 105: "description"}


def file_annotations(tables: FileTables) -> dict[str, Any]:
    """Return labels and descriptions of the file as attributes: texts, or lists of several.

    Parameters
    ----------
    tables : FileTables
        The file; damaged ones get a row in its report.
    """
    found: dict[str, Any] = {}
    for tag, name in _FILE.items():
        texts = [
            text_of(raw)
            for ref in tables.elements.descriptors.refs(tag)
            if (raw := _read(tables, tag, ref)) is not None
        ]
        if texts:
            found[name] = texts if len(texts) > 1 else texts[0]
    return found


def annotate(tables: FileTables, datasets: list[Dataset]) -> None:
    """Add labels and descriptions to the data sets that they are of; others get a row.

    Parameters
    ----------
    tables : FileTables
        The file.
    datasets : list of Dataset
        All of it.
    """
    known: dict[tuple[int, int], Dataset] = {}
    for dataset in datasets:
        known[DATA, dataset.data or 0] = dataset
        known[SDG, dataset.ref] = known[NDG, dataset.ref] = dataset
    for tag, name in _DATA.items():
        for ref in tables.elements.descriptors.refs(tag):
            raw = _read(tables, tag, ref)
            if raw is None:
                continue
            of = struct.unpack_from(">HH", raw) if len(raw) >= 4 else (0, 0)
            owner = known.get((of[0], of[1]))
            if owner is None or name in owner.attributes:
                reason = f"the {name} of an element {of[0]}/{of[1]}, which has no place for it"
                where = f"/annotation {tag}/{ref}"
                tables.report.add(where, Outcome.SKIPPED, reason, "hdf4-annotation")
            else:
                owner.attributes.add(name, text_of(raw[4:]))


def _read(tables: FileTables, tag: int, ref: int) -> bytes | None:
    try:
        return tables.elements.read(tag, ref)
    except RefmakerError as error:
        where = f"/annotation {tag}/{ref}"
        tables.report.add(where, Outcome.SKIPPED, str(error), "hdf4-annotation")
        return None
