"""What the tests of a search share."""

import os

import pytest


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pulls the plug here: what was written need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
