"""The files of the page: nothing from elsewhere, and the script is what its source gives."""

import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from hanjaserve.web.page import ASSETS

from .node import TYPESCRIPT, needs_node

FOLDER = resources.files("hanjaserve.web") / "assets"
# The only names of hosts: they name XML vocabularies, and nobody asks them anything.
NAMES = ("http://www.w3.org/2000/svg",)


@pytest.mark.parametrize("name", [name for name, _ in ASSETS.values()])
def test_nothing_comes_from_elsewhere(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    if name == "page.js":
        # Strings of a script are checked in a browser, by what it asks for: tests/web/test_browser.py.
        assert not re.search(r"\bimport\b|innerHTML|\beval\b", text)
        return
    assert set(re.findall(r"(?:https?:)?//[\w.-]+[^\"' ]*", text)) <= set(NAMES)


def test_no_script_or_style_in_the_markup() -> None:
    """The content security policy would refuse it."""
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.S) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)


@needs_node
def test_the_script_is_what_its_source_gives(tmp_path: Path) -> None:
    built = tmp_path / "page.js"
    subprocess.run(["node", "build.mjs", str(built)], cwd=TYPESCRIPT, check=True, timeout=60)
    kept = (FOLDER / "page.js").read_bytes()
    assert built.read_bytes() == kept, "run `npm run build` in clients/typescript, and commit page.js"
