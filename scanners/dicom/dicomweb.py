"""Series behind a DICOMweb service: headers from its metadata, frames by their URLs.

Implements WADO-RS (PS3.18, 10.4): the metadata of a study or series are one answer, and each
frame has a URL of its own, which gives its uncompressed pixels: as they are, if the service
sends a single part, or else in a message of one part.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.multipart import only_part
from refmaker.errors import (
    CodecError,
    FormatError,
    MetadataError,
    RefmakerError,
    SourceError,
    UnsupportedError,
)
from refmaker.io.many_files import FileRange, read_ranges
from refmaker.model.report import Fingerprint
from refmaker.scanners.dicom.dicom_json import elements_of
from refmaker.scanners.dicom.header import Header, PixelElement
from refmaker.scanners.dicom.pixels import frame_count, layout
from refmaker.scanners.dicom.tags import (
    BITS_ALLOCATED,
    COLUMNS,
    FLOAT_PIXEL_DATA,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA,
    ROWS,
    SAMPLES_PER_PIXEL,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from refmaker.model import Array, Group
    from refmaker.model.report import Cost, ScanReport
    from refmaker.scanners.dicom.pixels import PixelDescription

__all__ = ["ACCEPT", "SCHEME", "Service", "instance_bytes", "is_service", "services", "with_accept"]

SCHEME = "dicomweb+"
"""What stands in front of the URLs of services."""
_SERVICE = re.compile(
    r"dicomweb\+(https?://[^?#]+?/studies/[0-9.]+(?:/series/[0-9.]+)?)(?:/metadata)?/?"
)
_FRAME = re.compile(r"(https?://.+/studies/[0-9.]+/series/[0-9.]+)/instances/[0-9.]+/frames/\d+")
_INSTANCE = re.compile(r"https?://.+/studies/[0-9.]+/series/[0-9.]+/instances/[0-9.]+")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_SOP_INSTANCE_UID = 0x00080018
_SYNTAX = "1.2.840.10008.1.2.1"
ACCEPT = f"application/octet-stream; transfer-syntax={_SYNTAX}"
"""What a service is asked for: one part, uncompressed."""
_EXACT, _PADDED, _PARTS = "exact", "padded", "parts"
"""How a service sends frames: as they are, with a byte more, in a message of one part."""
_MULTIPART = f'multipart/related; type="application/octet-stream"; transfer-syntax={_SYNTAX}'


def is_service(url: str) -> bool:
    """Tell whether a URL is that of a DICOMweb service, ``dicomweb+https://``."""
    return url.startswith((f"{SCHEME}http://", f"{SCHEME}https://"))


def services(urls: Sequence[str]) -> list[str]:
    """Return the services among URLs, each once; or those that the frames come from.

    Parameters
    ----------
    urls : sequence of str
        What was named, or what a set points into.
    """
    found = [url for url in urls if is_service(url)]
    if not found and urls and _FRAME.fullmatch(urls[0]):
        series = [_FRAME.fullmatch(url) for url in urls]
        found = [f"{SCHEME}{one[1]}" for one in series if one is not None]
    return list(dict.fromkeys(found))


def instance_bytes(
    url: str, storage_options: Mapping[str, Any] | None, cost: Cost | None = None
) -> bytes | None:
    """Return a whole instance from a service, as a file; None for the URL of anything else.

    Raises
    ------
    SourceError
        If the service does not send it.
    CodecError
        If it sends something else.
    """
    if not _INSTANCE.fullmatch(url):
        return None
    accept = 'application/dicom, multipart/related; type="application/dicom"'
    options = with_accept(storage_options, accept)
    (answer,) = read_ranges([FileRange(url)], options, cost=cost)
    if isinstance(answer, RefmakerError):
        raise answer.located(url=url)
    return only_part(answer) if answer.lstrip(b"\r\n").startswith(b"--") else answer


def with_accept(storage_options: Mapping[str, Any] | None, accept: str) -> dict[str, Any]:
    """Return storage options with a header that says what is asked for."""
    given = dict(storage_options or {})
    return {**given, "headers": {**(given.get("headers") or {}), "Accept": accept}}


@dataclass(slots=True)
class Service:
    """A study or a series behind a service.

    Parameters
    ----------
    url : str
        ``dicomweb+https://host/…/studies/S/series/E``, or of a study.
    storage_options : mapping, optional
        Passed to fsspec; ``headers`` among them go along with every request.
    cost : Cost
        Counted up with every request.

    Raises
    ------
    MetadataError
        If that is no URL of a study or a series.
    """

    url: str
    storage_options: Mapping[str, Any] | None
    cost: Cost
    _base: str = ""
    _root: str = ""
    _known: dict[str, str | RefmakerError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = _SERVICE.fullmatch(self.url)
        if found is None:
            raise MetadataError(
                "not the URL of a study or a series",
                url=self.url,
                hint="dicomweb+https://HOST/PATH/studies/UID/series/UID; secrets go into headers:"
                """ -S 'headers={"Authorization": "Bearer ..."}'""",
            )
        self._base = found[1]
        self._root = found[1].partition("/studies/")[0]

    def headers(
        self, wanted: Collection[int] | None
    ) -> tuple[list[Header], dict[str, RefmakerError]]:
        """Return the instances that have frames to refer to, and why others have not, by URL.

        Parameters
        ----------
        wanted : collection of int, optional
            Tags to keep; all by default.

        Raises
        ------
        SourceError
            If the service does not answer.
        FormatError
            If the answer is no metadata.
        """
        data = self._read(f"{self._base}/metadata", "application/dicom+json")
        try:
            documents = json.loads(data)
        except (ValueError, RecursionError):
            documents = None
        if not isinstance(documents, list) or not all(isinstance(one, dict) for one in documents):
            raise FormatError("the answer is no metadata of DICOM instances", url=self._base)
        found, failures = [], {}
        for number, document in enumerate(documents, 1):
            url = f"{self._base}#{number}"
            try:
                elements = elements_of(document, wanted)
                url = self._instance(elements)
                found.append(_header(url, elements, floats="7FE00008" in document))
            except (RefmakerError, RecursionError) as error:
                known = error if isinstance(error, RefmakerError) else FormatError("too deep")
                failures[url] = known.located(url=url)
        return found, failures

    def _instance(self, elements: Mapping[int, Any]) -> str:
        """Return the URL of an instance."""
        parts = []
        for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, _SOP_INSTANCE_UID):
            uid = elements.get(tag, (b"", b""))[1].decode("ascii", "replace").strip(" \0")
            if not _UID.fullmatch(uid) or len(uid) > 64:
                raise FormatError("an instance without its identifiers")
            parts.append(uid)
        return "{}/studies/{}/series/{}/instances/{}".format(self._root, *parts)

    def _read(self, url: str, accept: str) -> bytes:
        options = with_accept(self.storage_options, accept)
        (answer,) = read_ranges([FileRange(url)], options, cost=self.cost)
        if isinstance(answer, RefmakerError):
            raise answer.located(url=url)
        return answer

    def refused(self, group: Group, headers: Collection[Header]) -> dict[str, RefmakerError]:
        """Return the instances whose frames the service does not send, and why, by URL.

        The first frame of each array is fetched, to see how the service sends them.

        Parameters
        ----------
        group : Group
            The set as if instances were files of nothing but frames.
        headers : collection of Header
            The instances.
        """
        found: dict[str, RefmakerError] = {}
        layouts = _layouts(headers)
        for _, array in group.arrays():
            if not array.chunks.referenced:
                continue
            try:
                names = _frame_urls(array, layouts)
                _in_message(array, layouts[_instance_of(names[0])], "")
                self._sent(names[0], layouts)
            except RefmakerError as error:
                found |= {url: error.located(url=url) for url in array.chunks.urls}
        return found

    def referenced(self, group: Group, headers: Collection[Header], report: ScanReport) -> Group:
        """Return a set whose chunks are frames by their URLs.

        Parameters
        ----------
        group, headers
            As for `refused`, without the instances that it names.
        report : ScanReport
            Gets a word on what readers have to ask for.

        Raises
        ------
        UnsupportedError, SourceError
            For what `refused` would name.
        """
        layouts = _layouts(headers)
        accepted: set[str] = set()

        def moved(array: Array) -> Array:
            if not array.chunks.referenced:
                return array
            names = _frame_urls(array, layouts)
            sent = self._sent(names[0], layouts)
            accepted.add(_MULTIPART if sent == _PARTS else ACCEPT)
            nothing = np.zeros(len(names), np.uint64)
            table = replace(
                array.chunks,
                urls=tuple(names),
                offset=nothing,
                length=nothing.astype(np.uint32),
                url=np.arange(len(names), dtype=np.int32),
            )
            codec = _in_message(array, layouts[_instance_of(names[0])], sent)
            return replace(array, chunks=table, compressor=codec)

        made = group.map_arrays(moved)
        for accept in sorted(accepted):
            told = json.dumps({"Accept": accept})
            report.warn(
                f"frames come from a service: open the set with the storage option"
                f" 'headers' set to {told}"
            )
        return made

    def _sent(self, url: str, layouts: Mapping[str, PixelDescription]) -> str:
        """Return how the service sends the frames of an array; the first is asked for once."""
        if url not in self._known:
            self._known[url] = self._look(url, layouts[_instance_of(url)].chunk_bytes(1))
        known = self._known[url]
        if isinstance(known, RefmakerError):
            raise known
        return known

    def _look(self, url: str, size: int) -> str | RefmakerError:
        refused: RefmakerError | None = None
        for accept in (ACCEPT, _MULTIPART):
            try:
                data = self._read(url, accept)
            except SourceError as error:
                refused = refused or error
                continue
            try:
                part = only_part(data)
            except CodecError:
                part = b""
            if part and len(part) in (size, size + size % 2):
                return _PARTS
            if len(data) in (size, size + size % 2):
                return _EXACT if len(data) == size else _PADDED
            what = f"the service sends {len(data)} bytes for a frame of {size}"
            refused = FormatError(what, url=url)
        return UnsupportedError(
            f"the service does not send uncompressed frames: {refused}",
            code="dicomweb-frames",
            url=url,
            hint="fetch the instances, and scan the files",
        )


def _layouts(headers: Collection[Header]) -> dict[str, PixelDescription]:
    return {header.url: layout(header) for header in headers if header.pixels}


def _instance_of(frame: str) -> str:
    return frame.rpartition("/frames/")[0]


def _frame_urls(array: Array, layouts: Mapping[str, PixelDescription]) -> list[str]:
    """Return the URLs of the frames that are the chunks of an array."""
    table = array.chunks
    rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
    size = np.array([layouts[url].chunk_bytes(1) for url in table.urls], np.int64)[rows]
    number, rest = np.divmod(table.offset.astype(np.int64), size)
    if rest.any() or (table.length != size).any():
        raise UnsupportedError(
            "frames that share bytes have no URLs of their own", code="pixel-layout"
        )
    pairs = zip(rows.tolist(), (number + 1).tolist(), strict=True)
    return [f"{table.urls[row]}/frames/{frame}" for row, frame in pairs]


def _header(url: str, elements: dict[int, Any], *, floats: bool) -> Header:
    """Return an instance as if it were a file of nothing but frames."""
    header = Header(
        url, Fingerprint(0), elements, transfer_syntax=_SYNTAX, implicit=False, big=False
    )
    cells = [header.integer(tag) or 0 for tag in (ROWS, COLUMNS, BITS_ALLOCATED)]
    if not all(cells):
        return header
    tag, vr = (FLOAT_PIXEL_DATA, "OF") if floats else (PIXEL_DATA, "OW")
    # As long as one frame, of which there is one if nothing else is said.
    length = math.prod(cells) * (header.integer(SAMPLES_PER_PIXEL) or 1) // 8
    header.pixels = PixelElement(tag, vr, 0, max(length, 1))
    found = layout(header)
    colours = header.text(PHOTOMETRIC_INTERPRETATION)
    if found.packed or found.planar or (found.samples > 1 and colours != "RGB"):
        raise UnsupportedError(
            "what a service makes of such frames (packed bits, planes, or colours other than RGB)"
            " is not known",
            code="dicomweb-frames",
            hint="fetch the instance, and scan the file",
        )
    total = found.chunk_bytes(1) * frame_count(header)
    header.pixels = PixelElement(tag, vr, 0, total)
    header.size, header.fingerprint = total, Fingerprint(total)
    return header


def _in_message(array: Array, found: PixelDescription, sent: str) -> Mapping[str, Any] | None:
    """Return how chunks are decoded, by how the service sends them."""
    config = dict(array.compressor or {})
    if config.get("id") not in (None, "refmaker.dicom") or array.filters:
        raise UnsupportedError("frames of a service are not encoded", code="dicomweb-frames")
    if sent not in (_PARTS, _PADDED):
        return array.compressor
    shape = [1, found.rows, found.columns, found.samples]
    own = {"id": "refmaker.dicom", "shape": shape, "dtype": found.dtype, **config}
    return own | ({"multipart": True} if sent == _PARTS else {})
