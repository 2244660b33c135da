"""What is known of DICOM before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["FORMAT", "SALT", "is_bare", "resembles"]

SALT = "REFMAKER_UID_SALT"
"""Environment variable with the key of ``--uids hash``: a secret has no place in a command."""


def resembles(head: bytes) -> float:
    """Return how sure it is, 0 to 1, that a file with these first bytes is a DICOM file."""
    if head[128:132] == b"DICM":
        return 1.0
    return 0.6 if is_bare(head) else 0.0


def is_bare(head: bytes) -> bool:
    """Tell whether bytes are data elements without a preamble: two that follow one another."""
    at, last = 0, 0
    for _ in range(2):
        found = _element(head, at)
        if found is None:
            return False
        tag, end = found
        # Elements stand in ascending order, and files begin with these groups.
        if tag <= last or tag >> 16 not in (2, 8):
            return False
        at, last = end, tag
    return True


def _element(head: bytes, at: int) -> tuple[int, int] | None:
    """Return tag and end of an element with a text or small binary value, if there is one."""
    if len(head) < at + 8:
        return None
    for order in ("little", "big"):
        group = int.from_bytes(head[at : at + 2], order)
        element = int.from_bytes(head[at + 2 : at + 4], order)
        if group not in (2, 8):
            continue
        # Few other files get here.
        from refmaker.scanners.dicom.walk import is_vr

        vr = head[at + 4 : at + 6]
        if is_vr(vr) and vr not in (b"OB", b"SQ", b"UN"):
            length = int.from_bytes(head[at + 6 : at + 8], order)
            return group << 16 | element, at + 8 + length
        if is_vr(vr):
            length = int.from_bytes(head[at + 8 : at + 12], order)
            return group << 16 | element, at + 12 + length
        length = int.from_bytes(head[at + 4 : at + 8], order)
        if length <= 1024:
            return group << 16 | element, at + 8 + length
    return None


def _sniff(head: bytes, url: str) -> float:
    """Return 1.0 with ``DICM`` behind the preamble, less for elements without one.

    The URL of a DICOMweb service is no file's; endings tell nothing in DICOM.
    """
    return 1.0 if url.startswith("dicomweb+") else resembles(head)


FORMAT = FormatDeclaration(
    "dicom",
    (".dcm", ".dicom", ".ima"),
    _sniff,
    (
        Setting(
            "metadata",
            "safe",
            "attributes to write: safe, all, none, or tags to add, such as 00181030",
        ),
        Setting(
            "uids",
            "none",
            f"unique identifiers to write; hash uses the secret in {SALT}",
            ("none", "hash", "keep"),
        ),
        Setting(
            "fail-on-phi",
            "no",
            "refuse to make a set that holds identifiers, in attributes or in file names",
            ("no", "yes"),
        ),
        Setting(
            "unused-bits",
            "check",
            "trust that bits of a sample beyond BitsStored are clean; readers need no codec then",
            ("check", "trust"),
            former=("bits",),
        ),
        Setting(
            "slide-axes",
            "ngff",
            "order of a slide's axes: colour first, as NGFF wants it, or native, as stored",
            ("ngff", "native"),
            former=("slides",),
        ),
        Setting(
            "probe",
            "auto",
            "how many frames are decoded while scanning, so that what cannot be is refused by "
            "name: one of each array, all or none",
            ("auto", "all", "none"),
        ),
        Setting(
            "series-names",
            "number",
            "names of the groups of several series: series-1, by modality and series number such "
            "as CT-3, or by series description, which may identify the patient",
            ("number", "modality", "description"),
        ),
        Setting(
            "ngff",
            "0.4",
            "version of the NGFF metadata of slides and volumes; 0.5 and 0.6 go with Zarr version "
            "3, and 0.6 has the affine",
            ("0.4", "0.5", "0.6", "no"),
        ),
    ),
)
