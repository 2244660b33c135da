"""Names of parameters by ecCodes' own rules, from a table of its definitions: no library is loaded.

ecCodes names a field by *concepts*: lists of values, each with conditions on keys. Of those whose
conditions all hold the one with most conditions is taken, of equals the last; lists of the
originating centre come before the general ones, and ECMWF's stand in where none fits. The table
is made by `refmaker.scanners.grib.concept_table` and says which version it was made from. What
the rules here do not cover is not answered, and left to the library.
"""

from __future__ import annotations

import json
import os
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "PARAMETER_CONCEPTS",
    "Concepts",
    "UnsureError",
    "entry_of",
    "lines_of",
    "table_version",
]

PARAMETER_CONCEPTS = ("shortName", "paramId", "name", "units", "cfName", "cfVarName")
_PATH = os.path.join(os.path.dirname(__file__), "concepts.json.gz")
MISSING = "missing()"

Entry = list[Any]
"""A value, and the keys and values of its conditions in turn."""


class UnsureError(Exception):
    """The rules here do not say what ecCodes would."""


@lru_cache(1)
def _parts() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return the table, and where each part lies in it: the first member of the file tells."""
    with open(_PATH, "rb") as file:
        data = file.read()
    first = zlib.decompressobj(31)
    places = json.loads(first.decompress(data))
    return first.unused_data, places


@lru_cache(64)
def lines_of(name: str) -> dict[str, str]:
    """Return the lines of a part of the table, each JSON; none where there is no such part."""
    data, places = _parts()
    start, stop = places.get(name, (0, 0))
    text = zlib.decompress(data[start:stop], 31).decode() if stop else ""
    # Names may hold what Python takes for other ends of lines.
    return dict(line.split("\t", 1) for line in text.split("\n") if line)


@lru_cache(1024)
def entry_of(name: str, line: str) -> Any:
    """Return what one line of a part says; None where there is none."""
    text = lines_of(name).get(line)
    return None if text is None else json.loads(text)


def table_version() -> str:
    """Return the version of ecCodes whose definitions the table holds."""
    version: str = entry_of("version", "")
    return version


def _concept(edition: int, where: str, concept: str, parameter: str) -> list[Entry]:
    """Return the entries of one concept of a centre ("" for all) for a parameter."""
    group = parameter.rpartition(".")[0]
    found: Mapping[str, list[Entry]] = entry_of(f"{edition}/{where}/{concept}", group) or {}
    return found.get(parameter, [])


class Concepts:
    """The concepts of one field.

    Parameters
    ----------
    edition : {1, 2}
        Of GRIB.
    centre : str
        Abbreviation of the originating centre.
    keys : mapping
        What conditions ask about; None for what is missing.
    unsupported : container of str
        Keys that a field may have but whose values are not known here.
    suffix : str
        Of the lists of parameters: ``".lte33"`` for those of older tables of ECMWF.
    """

    def __init__(
        self, edition: int, centre: str, keys: Mapping[str, Any], unsupported: frozenset[str],
        suffix: str = "",
    ) -> None:  # fmt: skip
        self._edition, self._centre, self._suffix = edition, centre, suffix
        self._keys, self._unsupported = keys, unsupported

    def parameter(self, concept: str, parameter: str) -> str | None:
        """Return a name of the parameter, None where there is none.

        Parameters
        ----------
        concept : str
            One of `PARAMETER_CONCEPTS`.
        parameter : str
            Numbers of discipline, category and parameter; of table and parameter in edition 1.

        Raises
        ------
        UnsureError
            If a key decides of which nothing is known here.
        """
        plain = concept in ("cfName", "cfVarName") or self._edition == 1
        suffix = "" if plain else self._suffix
        lists = [(self._centre, suffix), ("", suffix)]
        found = self._best(_concept(self._edition, w, concept + s, parameter) for w, s in lists)
        if found is None and (concept != "cfVarName" or self._edition == 1):
            lists = [("ecmf", suffix), ("", suffix)]
            found = self._best(_concept(self._edition, w, concept + s, parameter) for w, s in lists)
        if found is None and self._edition == 2 and concept != "cfVarName":
            legacy = f"{concept}.legacy"
            found = self._best(_concept(2, where, legacy, parameter) for where in ("ecmf", ""))
        return found

    def names(self, parameter: str) -> dict[str, Any]:
        """Return all names of the parameter, by concept, as ecCodes completes them."""
        found: dict[str, Any] = {
            name: self.parameter(name, parameter) for name in PARAMETER_CONCEPTS
        }
        found["paramId"] = int(found["paramId"] or 0)
        if found["cfVarName"] is None and found["shortName"] is not None:
            digit = found["shortName"][:1].isdigit() or found["shortName"] == "~"
            found["cfVarName"] = f"p{found['paramId']}" if digit else found["shortName"]
        return found

    def level(self, concept: str, otherwise: str | None = None) -> str | None:
        """Return what another concept says, such as the type of level.

        Parameters
        ----------
        otherwise : str, optional
            Centre whose lists stand in where none fits.
        """
        found = None
        for centre in (self._centre, otherwise):
            if found is None and centre is not None:
                both = (centre, "")
                found = self._best(_concept(self._edition, where, concept, "") for where in both)
        return found

    def _best(self, lists: Iterable[list[Entry]]) -> str | None:
        most, best = 0, None
        for entries in lists:
            for entry in entries:
                count = self._holds(entry)
                if count >= most and count:
                    most, best = count, entry[0]
        return best

    def _holds(self, entry: Entry) -> int:
        """Return how many conditions hold, the parameter's own among them; 0 if one does not."""
        unsure = False
        for key, value in zip(entry[1::2], entry[2::2], strict=True):
            if key in self._unsupported:
                unsure = True
                continue
            if key not in self._keys:
                return 0
            mine = self._keys[key]
            if (mine is not None) if value == MISSING else (mine != value):
                return 0
        if unsure:
            raise UnsureError
        return (len(entry) - 1) // 2 + 3
