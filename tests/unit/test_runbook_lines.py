"""Lines that a person copies in an emergency are lines that a test runs."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FENCE = re.compile(r"(?:<!-- a test runs these lines: ([\w-]+) -->\n)?```\w+\n")
PAGES = ("docs/runbook.md", "docs/security.md")
BLOCKS = [found[1] for page in PAGES for found in FENCE.finditer((CHECKOUT / page).read_text())]
TESTS = [path.read_text() for path in (CHECKOUT / "tests/integration").rglob("test_*.py")]
RUNNERS = [text for text in TESTS if "runbook" in text]


def test_there_are_such_lines() -> None:
    assert len(BLOCKS) > 20
    assert len(set(BLOCKS)) == len(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_is_run_by_a_test(name: str | None) -> None:
    assert name, "a block has no comment above it that names the test's block"
    assert any(f'"{name}"' in text for text in RUNNERS), name
