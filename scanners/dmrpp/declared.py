"""What is known of DMR++ before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT"]

_DAP4, _DMRPP = b"http://xml.opendap.org/ns/DAP/4.0#", b"http://xml.opendap.org/dap/dmrpp/"


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts as XML with the namespaces of DAP4 and of DMR++, else 0.0."""
    xml = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
    return 1.0 if xml and _DAP4 in head and _DMRPP in head else 0.0


FORMAT = FormatDeclaration("dmrpp", (".dmrpp",), _sniff)
