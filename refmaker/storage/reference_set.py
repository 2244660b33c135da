"""The reference set as a user holds it: what a scan found, ready to be written or read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.report import Fingerprint, ScanReport

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.model import Group

__all__ = ["ReferenceSet"]


@dataclass(frozen=True, slots=True, repr=False)
class ReferenceSet:
    """Groups and arrays whose chunks are byte ranges of other files.

    Parameters
    ----------
    group : Group
        The root group.
    report : ScanReport
        The account of the scan that made it; of a set that was read back it holds what the
        set itself remembers, the format and the sources.
    """

    group: Group
    report: ScanReport = field(default_factory=lambda: ScanReport(""))

    def __repr__(self) -> str:
        arrays = [array for _, array in self.group.arrays()]
        chunks = sum(array.chunks.present for array in arrays)
        return f"<ReferenceSet of {self.report.url!r}: {len(arrays)} arrays, {chunks} chunks>"

    def write(
        self,
        out: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the set as kerchunk JSON, version 1.

        Parameters
        ----------
        out : str or os.PathLike
            Path or URL of the file, which appears whole or not at all; ``-`` is standard
            output.
        storage_options : mapping, optional
            Passed to fsspec.

        Raises
        ------
        SourceError
            If the place cannot be written.
        MetadataError
            If something in the set cannot be expressed.
        """
        from refmaker import __version__
        from refmaker.storage import json
        from refmaker.storage.files import replacing

        header = json.header(__version__, self.report.format, self.report.sources)
        with replacing(out, storage_options) as file:
            json.write(self.group, file, header)

    @classmethod
    def read(
        cls,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
    ) -> ReferenceSet:
        """Read a set that this package or kerchunk wrote as JSON.

        Parameters
        ----------
        url : str or os.PathLike
            Path or URL of the file; ``-`` is standard input.
        storage_options : mapping, optional
            Passed to fsspec.

        Raises
        ------
        SourceError
            If the file cannot be read.
        MetadataError
            If it is no reference set.
        """
        import os

        from refmaker.storage import json
        from refmaker.storage.files import read_file

        name = os.fspath(url)
        group, header = json.read(read_file(url, storage_options), name)
        report = ScanReport(name, format=str(header.get("format", "")))
        sources = header.get("sources", {})
        if not isinstance(sources, dict):
            raise MetadataError("'sources' is no JSON object", url=name, path="refmaker")
        for source, known in sources.items():
            report.sources[source] = Fingerprint.from_dict(known)
        return cls(group, report)
