"""Fixtures that every part of the suite may use."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.tiny import make_tiny_bundle

# The same examples in every run, so that a change is blamed for what it did; the long forms look for more,
# and so does `pytest --hypothesis-profile default`.
settings.register_profile("repeatable", derandomize=True)
if "long" not in (os.environ.get("LIVE"), os.environ.get("CHAOS")):
    settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def signals_are_heeded() -> None:
    """Commands inherit what is ignored, as these are where tests run by nohup or in the background."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle that needs no training; see tests/support/tiny.py for what it knows."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
