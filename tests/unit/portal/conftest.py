"""One portal for all tests of a module; each makes the entries that it looks at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from portal_kit import Kit, portal


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("portal")) as found:
        yield found
