"""The examples in the documentation are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["refmaker.templates", "refmaker.templates.expand"])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
