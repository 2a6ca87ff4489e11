"""Fixtures that every part of the suite may use."""

from pathlib import Path

import pytest

from tests.support.tiny import make_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle that needs no training; see tests/support/tiny.py for what it knows."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
