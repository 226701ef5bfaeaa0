"""What is written of an image."""

from __future__ import annotations

import pytest

from tests.tools.image_pins import document, pins


def test_a_package_that_nothing_pins_keeps_no_version() -> None:
    written = document("3.11", "# why\nBoto3==1.2\nflask==2.0\n", "Flask==2.1\n", "boto3==1.2\nflask==2.1\nnew==9\n")
    assert written == {
        "python": "3.11",
        "packages": {"boto3": "1.2", "flask": "2.1", "new": None},
        "enforced": {"flask": "2.1"},
        "constraints": {"boto3": "1.2", "flask": "2.0"},
    }


def test_what_is_no_pin_is_refused() -> None:
    with pytest.raises(ValueError, match="'boto3>1' is no pin; accepted: name==version"):
        pins("boto3>1")
