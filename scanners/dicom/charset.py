"""Text of data elements: SpecificCharacterSet to Python's codecs.

Implements PS3.3, C.12.1.1.2 for one character set; text that switches sets by escape
sequences (ISO 2022) is decoded by pydicom.
"""

from __future__ import annotations

__all__ = ["decode_text"]

_CODECS = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis-620",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


def decode_text(raw: bytes, charset: str) -> str:
    """Return text; bytes that have no place in the character set are read as Latin-1.

    Parameters
    ----------
    raw : bytes
        The value of an element.
    charset : str
        SpecificCharacterSet, several terms separated by a backslash.
    """
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    codec = _CODECS.get(charset.strip())
    if codec is None or b"\x1b" in raw:
        return _by_pydicom(raw, charset)
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _by_pydicom(raw: bytes, charset: str) -> str:
    import warnings

    try:
        from pydicom.charset import convert_encodings, decode_bytes
    except ImportError:
        return raw.decode("latin-1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            terms = [term.strip() for term in charset.split("\\")]
            text: str = decode_bytes(raw, convert_encodings(terms), set(b"\\^=\r\n\t\f"))
    except (LookupError, UnicodeError, ValueError, TypeError):
        return raw.decode("latin-1")
    return text
