"""The fault table of docs/reliability.md: every fault has tests and guards, and every guard has its fault."""

import re
from collections.abc import Iterator

import pytest

from .guards import GUARDS, ROOT, Guard

DOCUMENT = ROOT / "docs" / "reliability.md"
TESTS = ROOT / "tests"
NOT_OURS = re.compile(r"none of ours: [A-Z]")

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="an installed copy has no documents")


def rows() -> Iterator[tuple[str, list[str], list[str]]]:
    """Fault, tests and guards of each row."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for line in lines[lines.index("|---|---|---|---|") + 1 :]:
        if not line.startswith("|"):
            return
        fault, _, tests, guards = (cell.strip() for cell in line.strip("|").split(" | "))
        yield fault, tests.split(", "), guards.split("; ")


def test_every_fault_has_tests_and_guards() -> None:
    known = {guard.row for guard in GUARDS}
    found = list(rows())
    assert len(found) > 15
    for fault, tests, guards in found:
        assert all(any(TESTS.glob(f"**/{name}")) for name in map(last_part, tests)), fault
        unknown = [guard for guard in guards if guard not in known and not NOT_OURS.match(guard)]
        assert not unknown, fault


def test_every_guard_has_its_fault() -> None:
    named = [guard for _, _, guards in rows() for guard in guards]
    assert [guard.row for guard in GUARDS if guard.row not in named] == []


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.row)
def test_guard_is_where_the_table_says(guard: Guard) -> None:
    text = (ROOT / guard.file).read_text(encoding="utf-8")
    assert guard.code in text
    assert guard.also is None or guard.also[0] in text
    assert (ROOT / guard.test.split()[0]).exists()


def last_part(test: str) -> str:
    return test.rstrip("/").rpartition("/")[2]
