import logging
import sys
import types
from importlib.metadata import PackageNotFoundError

import pytest

from hanjaserve.server.errors import ConfigError
from hanjaserve.server.runners import flavours
from hanjaserve.server.runners.flavours import Flavour, installed_flavours, open_flavour


def fake_module(version: str) -> types.ModuleType:
    module = types.ModuleType("tensorrt")
    module.__dict__["__version__"] = version
    return module


@pytest.mark.parametrize("version", ["10.12.0.36", "11.4.1"])
def test_data_centre_flavour(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake_module(version))
    flavour = open_flavour("tensorrt")
    assert (flavour.name, flavour.version, flavour.portable) == ("tensorrt", version, False)


def test_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake_module("10.9.0.34"))
    with pytest.raises(ConfigError, match=r"10.9.0.34, but 10.12 is the oldest"):
        open_flavour("tensorrt")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ConfigError, match=r"tensorrt is not installed: pip install 'hanjaserve\[gpu\]'"):
        open_flavour("tensorrt")


def test_libraries_that_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(ConfigError, match=r"does not load .*libcudart.*gpu-rtx"):
        open_flavour("tensorrt-rtx")


def test_installed_without_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "tensorrt-cu13":
            return "11.4"
        raise PackageNotFoundError(package)

    monkeypatch.setattr(flavours, "version", version)
    assert installed_flavours() == ("tensorrt",)


def test_logger_keeps_errors_and_passes_messages_on(caplog: pytest.LogCaptureFixture) -> None:
    class Logger:
        pass

    log = Flavour(name="tensorrt", version="11", api=types.SimpleNamespace(ILogger=Logger)).logger()
    with caplog.at_level(logging.INFO):
        for name in ("INTERNAL_ERROR", "ERROR", "WARNING", "VERBOSE"):
            log.log(types.SimpleNamespace(name=name), " ".join(["a", name, "\n"]))
    assert log.errors == ["a INTERNAL_ERROR", "a ERROR"]
    assert [record.message for record in caplog.records] == ["a INTERNAL_ERROR", "a ERROR", "a WARNING"]
