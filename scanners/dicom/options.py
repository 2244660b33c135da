"""What users chose, in the terms of this format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.scanners.dicom.privacy import hashed_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.dicom.metadata import Selection
    from refmaker.scanning.options import ScanOptions

__all__ = ["DICOMOptions"]


class DICOMOptions(NamedTuple):
    """What users chose.

    Parameters
    ----------
    options : ScanOptions
        How to scan.
    storage_options : mapping or None
        Passed to fsspec.
    selection : Selection
        Attributes to write.
    uids : str
        ``"none"``, ``"hash"`` or ``"keep"``.
    salt : bytes
        Key of the hashes.
    trust_bits : bool
        As for `frames.instance_array`.
    slides : str
        ``"ngff"``, samples of slides come first, or ``"native"``, as they are stored.
    strict : bool
        Whether a set that holds identifiers is to be refused.
    probe : str
        As for `probe.probe`.
    ngff : str
        Version of the NGFF metadata of images, or ``"no"``.
    series_names : str
        As for `series_names.series_names`.
    """

    options: ScanOptions
    storage_options: Mapping[str, Any] | None
    selection: Selection
    uids: str = "none"
    salt: bytes = b""
    trust_bits: bool = False
    slides: str = "ngff"
    strict: bool = False
    probe: str = "auto"
    ngff: str = "0.4"
    series_names: str = "number"

    @property
    def identifies(self) -> bool:
        """Whether more was asked for than what identifies nobody."""
        named = self.series_names == "description"
        return self.selection.identifies or self.uids == "keep" or named

    def uid(self, text: str) -> str:
        """Return a UID as it is to be written."""
        return hashed_uid(text, self.salt) if self.uids == "hash" else text
