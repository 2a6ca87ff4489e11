"""Where the TypeScript client is, and whether it can be built here."""

import shutil
from pathlib import Path

import pytest

TYPESCRIPT = Path(__file__).parents[2] / "clients" / "typescript"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (TYPESCRIPT / "node_modules").is_dir(),
    reason="needs Node and its packages: `make setup-web`",
)
