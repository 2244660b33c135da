"""Without VirtualiZarr 2.8 there is one clear error, whatever is called."""

from __future__ import annotations

import importlib.metadata
import sys
from types import ModuleType

import pytest

from refmaker.errors import MissingDependencyError
from refmaker.model import Group
from refmaker.virtualizarr import Parser, from_dataset, from_store, to_store
from refmaker.virtualizarr.library import manifests

CALLS = [
    lambda: Parser()("file:///absent.nc", None),
    lambda: to_store(Group(), None),
    lambda: from_store(None),
    lambda: from_dataset(None),
    manifests,
]


@pytest.mark.parametrize("call", CALLS)
def test_none_installed(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "virtualizarr.manifests", None)
    with pytest.raises(MissingDependencyError, match=r"VirtualiZarr 2\.8 or later") as raised:
        call()
    assert "pip install 'refmaker[virtualizarr]'" in raised.value.hint
    assert ("Python 3.12" in raised.value.hint) == (sys.version_info < (3, 12))


@pytest.mark.parametrize("call", CALLS)
def test_one_that_is_too_old(call, monkeypatch):
    old, inner = ModuleType("virtualizarr.manifests"), ModuleType("virtualizarr.manifests.manifest")
    monkeypatch.setitem(sys.modules, "virtualizarr.manifests", old)
    monkeypatch.setitem(sys.modules, "virtualizarr.manifests.manifest", inner)
    monkeypatch.setattr(importlib.metadata, "version", {"virtualizarr": "2.5.1"}.__getitem__)
    with pytest.raises(MissingDependencyError, match=r"here is 2\.5\.1"):
        call()


def test_this_installation_is_one_or_the_other():
    """On Python 3.12 and later the rest of these tests run, so the library has to be there."""
    if sys.version_info >= (3, 12):
        assert manifests().ManifestStore
    else:
        with pytest.raises(MissingDependencyError):
            manifests()
