"""The threat model names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    """Failure covered: a threat is said to be covered by a test that was renamed or deleted long ago."""
    checked = 0
    for row in re.findall(r"^\|.*\|$", PAGE, flags=re.MULTILINE):
        text = ""
        for quoted in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1]):
            if "/" in quoted:
                assert (ROOT / quoted).is_file(), quoted
                text = (ROOT / quoted).read_text()
                checked += 1
            elif text and re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", quoted) and quoted != "split_brain":
                assert f"def {quoted}(" in text or f'run "{quoted}"' in text, quoted
                checked += 1
    assert checked > 40


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
