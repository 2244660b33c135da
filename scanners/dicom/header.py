"""Headers of DICOM files: everything in front of the pixel data, from the first kilobytes.

Implements PS3.10, section 7 (preamble, file meta information) and PS3.5, annex A, as far as
they decide how a data set is encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import RefmakerError, SourceChangedError, SourceError, TruncatedError
from refmaker.io.first_bytes import LOCAL, read_first_bytes
from refmaker.io.source import Source
from refmaker.scanners.dicom.data_set_reader import DataSetReader, InflatingReader
from refmaker.scanners.dicom.file_meta import begin
from refmaker.scanners.dicom.header_templates import Forms
from refmaker.scanners.dicom.tags import NEEDED
from refmaker.scanners.dicom.values import Dataset
from refmaker.scanners.dicom.vendor_elements import unused
from refmaker.scanners.dicom.walk import UNDEFINED, ShortError, is_vr

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Self

    from refmaker.io.first_bytes import FirstBytes
    from refmaker.model.report import Cost, Fingerprint
    from refmaker.scanners.dicom.file_meta import FileMeta
    from refmaker.scanners.dicom.header_templates import HeaderTemplate
    from refmaker.scanners.dicom.tags import Element

__all__ = ["Failure", "Header", "PixelElement", "read_header", "read_headers"]

_TAIL = 4096
"""Bytes kept of encapsulated pixel data: offset table, first item, and its marker segments."""


class PixelElement(NamedTuple):
    """Where the pixel data of an instance lie.

    Parameters
    ----------
    tag : int
        PixelData, FloatPixelData or DoubleFloatPixelData.
    vr : str
        ``OB``, ``OW``, ``OF`` or ``OD``; empty in implicit VR.
    offset : int
        First byte of the value: in the file, or behind the inflated beginning of the data set if
        the file is deflated.
    length : int or None
        Bytes of the value; None if it is encapsulated.
    """

    tag: int
    vr: str
    offset: int
    length: int | None

    @property
    def encapsulated(self) -> bool:
        """Whether the value is a sequence of fragments (PS3.5, A.4)."""
        return self.length is None


class Header(Dataset):
    """What stands in front of the pixel data of one file; see `Dataset` for its elements.

    Attributes
    ----------
    url : str
        The file, absolute.
    size : int
        Its bytes.
    fingerprint : Fingerprint
        How it looked when it was read.
    transfer_syntax : str
        UID of the encoding; the one that was found where the file tells none, or another one.
    pixels : PixelElement or None
        Where pixel data lie; None if there are none.
    deflated : int or None
        First byte of the deflate stream, if the data set is one.
    tiff : bool
        Whether the preamble makes the file a TIFF file as well.
    tail : bytes
        What is at hand of the pixel data's first bytes.
    warnings : tuple of str
        What is odd about the file.
    form : HeaderTemplate or None
        What it has in common with other headers that were read with it.
    frames : int or None
        Number of frames, once somebody asked for it.
    """

    __slots__ = (
        "deflated",
        "fingerprint",
        "form",
        "frames",
        "pixels",
        "size",
        "tail",
        "tiff",
        "transfer_syntax",
        "url",
        "warnings",
    )

    def __init__(  # noqa: PLR0913 - everything that is known of a file
        self,
        url: str,
        fingerprint: Fingerprint,
        elements: dict[int, Element],
        *,
        transfer_syntax: str,
        implicit: bool,
        big: bool,
        pixels: PixelElement | None = None,
        deflated: int | None = None,
        tiff: bool = False,
        tail: bytes = b"",
        warnings: tuple[str, ...] = (),
    ) -> None:
        super().__init__(elements, implicit=implicit, big=big)
        self.url = url
        self.size = fingerprint.size
        self.fingerprint = fingerprint
        self.transfer_syntax = transfer_syntax
        self.pixels = pixels
        self.deflated = deflated
        self.tiff = tiff
        self.tail = tail
        self.warnings = warnings
        self.form: HeaderTemplate | None = None
        self.frames: int | None = None

    def copy(
        self, head: FirstBytes, fingerprint: Fingerprint, elements: dict[int, Element], at: int
    ) -> Header:
        """Return the header of another file that is a copy of the same form.

        Parameters
        ----------
        head, fingerprint
            The other file.
        elements : dict
            Its elements.
        at : int
            First byte of its pixel data's value.
        """
        other = Header.__new__(Header)
        other.elements, other.url, other.fingerprint = elements, head.url, fingerprint
        other.implicit, other.big, other.charset = self.implicit, self.big, self.charset
        other.size, other.transfer_syntax = fingerprint.size, self.transfer_syntax
        other.deflated, other.tiff, other.warnings = self.deflated, self.tiff, self.warnings
        other.form, other.frames, pixels = self.form, None, self.pixels
        if pixels is not None and pixels.offset != at:
            pixels = PixelElement(pixels.tag, pixels.vr, at, pixels.length)
        other.pixels = pixels
        encapsulated = pixels is not None and pixels.length is None
        other.tail = head.data[at : at + _TAIL] if encapsulated else b""
        return other


class Failure(NamedTuple):
    """A file whose header could not be read.

    Parameters
    ----------
    url : str
        The file.
    error : RefmakerError
        Why: `UnknownFormatError` if it is no DICOM file, `SourceError` if it cannot be read,
        `FormatError` if it is damaged.
    """

    url: str
    error: RefmakerError


def read_header(source: Source, wanted: Collection[int] | None = None) -> Header:
    """Return the header of one file.

    Parameters
    ----------
    source : Source
        The file.
    wanted : collection of int, optional
        Tags to keep of the data set itself; all by default. What decides how pixels are read is
        always kept; sequences are kept whole.

    Raises
    ------
    UnknownFormatError
        If it is no DICOM file.
    FormatError, TruncatedError
        If the header is damaged or incomplete; tells tags, never values.
    LimitError
        If the header is larger than any real one.
    """
    data = source.read_upto(0, LOCAL)
    reading = _Reading(source.url, source.fingerprint, data, source.read_upto)
    try:
        return reading.header(_all(wanted))
    except RefmakerError as error:
        raise error.located(url=source.url) from None


def read_headers(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    wanted: Collection[int] | None = None,
    *,
    cost: Cost | None = None,
) -> Iterator[Header | Failure]:
    """Yield the headers of many files, in order; one that cannot be read yields a `Failure`.

    Parameters
    ----------
    urls : sequence of str
        The files.
    storage_options : mapping, optional
        Passed to fsspec.
    wanted : collection of int, optional
        As for `read_header`; with few tags thousands of headers take little memory.
    cost : Cost, optional
        Counted up with every request.
    """
    keep = _all(wanted)
    alike = _Alike() if len(urls) > 1 else None
    for head in read_first_bytes(urls, storage_options, cost=cost):
        fingerprint = head.fingerprint
        if fingerprint is None or head.error is not None:
            yield Failure(head.url, head.error or SourceError("cannot be read", url=head.url))
            continue
        known = None if alike is None else alike.read(head, fingerprint)
        if known is not None:
            yield known
            continue
        with _Later(head.url, storage_options, fingerprint, cost) as read:
            reading = _Reading(head.url, fingerprint, head.data, read)
            try:
                header = reading.header(keep)
            except RefmakerError as error:
                yield Failure(head.url, error.located(url=head.url))
                continue
        if alike is not None:
            alike.learn(header, head.data)
        yield header


class _Alike:
    """Headers that need not be walked over: copies of forms, of each of which one is known."""

    def __init__(self) -> None:
        self._forms = Forms()
        self._first: dict[HeaderTemplate, tuple[Header, int]] = {}

    def read(self, head: FirstBytes, fingerprint: Fingerprint) -> Header | None:
        """Return the header of a file, if it is a copy of a known form."""
        found = self._forms.read(head.data)
        if found is None:
            return None
        form, elements, at = found
        first, element = self._first[form]
        return first.copy(head, fingerprint, elements, at + element)

    def learn(self, header: Header, data: bytes) -> None:
        """Look for a form, or for more blanks of a known one, in a header that was walked over."""
        pixels = header.pixels
        if pixels is None or header.deflated is not None:
            return
        size = 12 if pixels.vr else 8
        found = self._forms.learn(
            data, header.elements, pixels.offset - size, implicit=header.implicit, big=header.big
        )
        if found is not None:
            header.form, header.elements = found
            self._first.setdefault(header.form, (header, size))


def _all(wanted: Collection[int] | None) -> frozenset[int] | None:
    return None if wanted is None else frozenset(wanted) | NEEDED


class _Later:
    """Reads more of a file than its head; opens it when that is first asked for."""

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any] | None,
        fingerprint: Fingerprint,
        cost: Cost | None,
    ) -> None:
        self._url = url
        self._options = storage_options
        self._fingerprint = fingerprint
        self._cost = cost
        self._source: Source | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, offset: int, length: int) -> bytes:
        """Return the bytes of the range that lie inside the file."""
        if self._source is None:
            self._source = Source(self._url, self._options)
            if self._source.size != self._fingerprint.size:
                raise SourceChangedError("the file changed while it was read", url=self._url)
        return self._source.read_upto(offset, length)

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            if self._cost is not None:
                self._cost.requests += self._source.requests
                self._cost.bytes_read += self._source.bytes_read
                self._cost.rounds += self._source.rounds
            self._source.close()


class _Reading:
    """One header being read, window by window."""

    def __init__(
        self,
        url: str,
        fingerprint: Fingerprint,
        data: bytes,
        read: Callable[[int, int], bytes],
    ) -> None:
        self.url = url
        self.fingerprint = fingerprint
        self.size = fingerprint.size
        self._data = data
        self._read = read

    def header(self, wanted: frozenset[int] | None) -> Header:
        """Read until the pixel data, or the end of the file."""
        start = self._start()
        at, elements = start.at, start.meta
        stream: DataSetReader
        if start.deflated:
            stream, at = InflatingReader(self.size - at, self._deflated(at)), 0
        else:
            stream = DataSetReader(self._data, self.size, self._read)
        at = stream.walk(at, elements, wanted, implicit=start.implicit, big=start.big)
        if wanted is not None:
            for tag in unused(elements):
                del elements[tag]
        pixels, tail = self._pixels(stream, at, start)
        return Header(
            self.url,
            self.fingerprint,
            elements,
            transfer_syntax=start.syntax,
            implicit=start.implicit,
            big=start.big,
            pixels=pixels,
            deflated=start.at if start.deflated else None,
            tiff=start.tiff,
            tail=tail,
            warnings=start.warnings,
        )

    def _deflated(self, first: int) -> Callable[[int, int], bytes]:
        return lambda at, length: self._read(first + at, length)

    def _start(self) -> FileMeta:
        while True:
            try:
                return begin(self._data)
            except ShortError:
                if len(self._data) >= self.size:
                    raise TruncatedError(
                        "the file ends inside its meta information", url=self.url
                    ) from None
                self._data = self._read(0, 4 * len(self._data))

    def _pixels(
        self, stream: DataSetReader, at: int, start: FileMeta
    ) -> tuple[PixelElement | None, bytes]:
        """Read the element header of the pixel data, if that is where the walk ended."""
        if at >= stream.size:
            return None, b""
        head = stream.window(at, 12)
        if len(head) < 8 or (not start.implicit and is_vr(head[4:6]) and len(head) < 12):
            raise TruncatedError("the file ends at its pixel data", url=self.url, offset=at)
        order: Any = "big" if start.big else "little"
        tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
        if is_vr(head[4:6]) and not start.implicit:
            vr, length, size = head[4:6].decode(), int.from_bytes(head[8:12], order), 12
        else:
            vr, length, size = "", int.from_bytes(head[4:8], order), 8
        pixels = PixelElement(tag, vr, at + size, None if length == UNDEFINED else length)
        tail = stream.at_hand(at + size, _TAIL) if pixels.encapsulated else b""
        # The beginning tells how many frames there are, where the elements do not.
        return pixels, tail or (stream.window(at + size, 8) if pixels.encapsulated else b"")
