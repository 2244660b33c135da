"""What these tests need; VirtualiZarr with bytes in its manifests needs Python 3.12."""

from __future__ import annotations

import sys

import pytest

if sys.version_info < (3, 12):
    # There what is tested is the error: test_library.py. Elsewhere all of them have to run.
    collect_ignore = ["test_parser.py", "test_manifests.py", "test_datasets.py", "test_wild.py"]
    collect_ignore += ["test_pages.py"]


@pytest.fixture
def registry():
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore

    return ObjectStoreRegistry({"file://": LocalStore()})
