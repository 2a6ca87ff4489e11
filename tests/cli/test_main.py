"""The dispatcher: light, and clear about what is missing."""

import subprocess
import sys

import pytest

from hanjaserve.cli import main as cli
from hanjaserve.cli.errors import CliError

from .conftest import Hanjaserve


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hanjaserve.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'grpc', 'numpy', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    assert lines[-1] == "[]"
    for name in cli.commands():
        assert any(line.split()[:1] == [name] for line in lines), name


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("hanjaserve 0")


def test_unknown_command() -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["frobnicate"])
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["build", "train"])
def test_missing_build_packages_are_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_torch(module: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("importlib.import_module", no_torch)
    assert cli.main([command]) == 2
    expected = f"hanjaserve {command}: torch is not installed: pip install 'hanjaserve[build]'\n"
    assert capsys.readouterr().err == expected


def test_a_bug_in_the_server_is_not_taken_for_a_missing_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(module: str) -> None:
        raise ModuleNotFoundError("No module named 'grpc'", name="grpc")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["serve"])


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (CliError("no", 3), 3)])
def test_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(namespace: object) -> int:
        raise error

    monkeypatch.setattr("hanjaserve.cli.info.run", run)
    assert cli.main(["info"]) == code


def test_info(hanjaserve: Hanjaserve, address: str) -> None:
    done = hanjaserve("info")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["where", address]
    assert {"model", "runner", "styles"} <= {line.split()[0] for line in lines if line.split()}
    assert b'"scheme": "syllable"' in hanjaserve("info", "--json", "--local").stdout
