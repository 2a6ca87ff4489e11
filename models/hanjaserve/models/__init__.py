"""The bundle that hanjaserve ships with."""

from pathlib import Path


def default_bundle_path() -> Path:
    """Folder of the default bundle; it may be absent in a source tree that has not built one."""
    return Path(__file__).parent / "default"
