"""Catalogs as YAML files: read, changed in one place, written whole; comments stay."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, MissingDependencyError, SourceNotFoundError
from refmaker.io.files import read_file, replacing
from refmaker.publish.catalog import intake1, intake2

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import ModuleType

__all__ = ["dialect", "read_catalog", "write_catalog"]

_DIALECTS = {1: intake1, 2: intake2}
_LIMIT = 64 * 1024**2


def dialect(document: Any) -> ModuleType:
    """Return the module that knows a catalog's format."""
    return _DIALECTS[_version(document)]


def read_catalog(
    url: str, storage_options: Mapping[str, Any] | None = None, *, new: int | None = None
) -> MutableMapping[str, Any]:
    """Return a catalog's document.

    Parameters
    ----------
    new : {1, 2}, optional
        Make one of this format if there is none.

    Raises
    ------
    SourceError
        If it cannot be read.
    MetadataError
        If it is no catalog of intake.
    MissingDependencyError
        If ruamel.yaml is not installed.
    """
    yaml = _yaml()
    from ruamel.yaml.error import YAMLError

    try:
        text = read_file(url, storage_options)
    except (SourceNotFoundError, FileNotFoundError):
        if new is None:
            raise
        made: MutableMapping[str, Any] = _DIALECTS[new].new_document()
        return made
    if len(text) > _LIMIT:
        raise MetadataError(f"{len(text)} bytes are no catalog", url=url)
    try:
        document = yaml.load(text)
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise MetadataError(f"not YAML: {' '.join(str(error).split())}", url=url) from error
    try:
        module = _DIALECTS[_version(document)]
        for section in (*module.sections(document), document):
            section.keys()
    except (KeyError, TypeError, AttributeError) as error:
        raise MetadataError(
            "not a catalog of intake: it has neither sources nor version: 2", url=url
        ) from error
    if isinstance(document, dict) and _version(document) == 2:
        for name, empty in intake2.new_document().items():
            if document.setdefault(name, empty) is None:
                document[name] = empty
    return document  # type: ignore[no-any-return]  # ruamel.yaml gives a mapping of its own


def write_catalog(
    document: Mapping[str, Any], url: str, storage_options: Mapping[str, Any] | None = None
) -> None:
    """Write a catalog, which appears whole or not at all.

    Raises
    ------
    SourceError
        If the place cannot be written.
    """
    text = io.BytesIO()
    _yaml().dump(document, text)
    with replacing(url, storage_options) as file:
        file.write(text.getvalue())


def _version(document: Any) -> int:
    return 2 if document.get("version") == 2 else 1


def _yaml() -> Any:
    try:
        from ruamel.yaml import YAML
    except ImportError as error:
        raise MissingDependencyError(
            "catalogs need ruamel.yaml", hint="pip install ruamel.yaml, or 'refmaker[catalog]'"
        ) from error
    # Round-trip: no object is made of anything, and other people's comments are kept.
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml
