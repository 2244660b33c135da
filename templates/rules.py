"""The whole ``gen`` member: many rules, searched together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.templates.expand import Templates
from refmaker.templates.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from refmaker.templates.table import Reference

__all__ = ["Rules"]

_NO_TEMPLATES = Templates()


class Rules:
    """All ``gen`` entries of a document.

    Where two entries make the same key the later one counts. In the reference implementation
    of the format, what ``gen`` makes also replaces what ``refs`` has under the same key.

    Parameters
    ----------
    entries : iterable of mapping
    templates : Templates, optional

    Raises
    ------
    TemplateError
        If an entry is not a rule.
    """

    __slots__ = ("_by_prefix", "_lengths", "_rules")

    def __init__(
        self, entries: Iterable[Mapping[str, object]], templates: Templates = _NO_TEMPLATES
    ) -> None:
        self._rules = tuple(Rule(entry, templates) for entry in entries)
        self._by_prefix: dict[str, list[int]] = {}
        for number, rule in enumerate(self._rules):
            self._by_prefix.setdefault(rule.pattern.literals[0], []).append(number)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __getitem__(self, number: int) -> Rule:
        return self._rules[number]

    @property
    def size(self) -> int:
        """Number of references that all rules together make, repeated keys counted again."""
        return sum(rule.size for rule in self._rules)

    def lookup(self, key: str) -> Reference | None:
        """Find the reference of one key among those rules whose keys begin like it.

        Parameters
        ----------
        key : str

        Returns
        -------
        Reference or None
            None if no rule makes this key.

        Raises
        ------
        TemplateError
            If a rule whose keys begin like this one cannot be searched.
        """
        candidates: list[int] = []
        for length in self._lengths:
            if length > len(key):
                break
            candidates += self._by_prefix.get(key[:length], ())
        for number in sorted(candidates, reverse=True):
            found = self._rules[number].lookup(key)
            if found is not None:
                return found
        return None
