from fnmatch import fnmatch
from pathlib import Path

import pytest


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """By default pytest leaves out folders named build, so that tests/build never ran."""
    root = Path(__file__).parent
    folders = {path.parent.relative_to(root) for path in root.rglob("test_*.py")}
    patterns = pytestconfig.getini("norecursedirs")
    left_out = [str(f) for f in folders if any(fnmatch(part, p) for part in f.parts for p in patterns)]
    assert left_out == []
    assert Path("build") in folders
