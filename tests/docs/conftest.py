"""Every page of the repository that users read, one after the other; some by name."""

import importlib.util
from types import ModuleType

import pytest
from doc_pages import PAGES, ROOT, Page


@pytest.fixture(params=PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Page:
    """Every page of the repository that users read, one after the other."""
    return Page(request.param)


@pytest.fixture(scope="session")
def schedule_page() -> Page:
    return Page(ROOT / "docs" / "schedule.md")


@pytest.fixture(scope="session")
def architecture_page() -> Page:
    return Page(ROOT / "docs" / "architecture.md")


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The module that makes the tables of fields; it needs no Sphinx."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
