"""An environment of its own for every peer: made on first use, under its folder, and kept."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL_S = 1200


class Absent(Exception):
    """A peer can't be measured here; the argument says why."""


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if need be.

    Raises:
        Absent: It can't be installed.
    """
    folder = HERE / name
    python = folder / ".venv" / "bin" / "python"
    done = folder / ".venv" / ".done"
    wanted = (folder / "requirements.txt").read_text("utf-8") + (HERE / "model.txt").read_text("utf-8")
    if done.exists() and done.read_text("utf-8") == wanted:
        return python
    print(f"making the environment of {name}", flush=True)
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(folder / ".venv")])
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*install, "-r", str(HERE / "model.txt"), "-r", str(folder / "requirements.txt")])
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"it can't be installed: {_reason(error)}") from None
    done.write_text(wanted, "utf-8")
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no reason given"])[0][:200]
