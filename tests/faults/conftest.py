from __future__ import annotations

import pytest

from tests.support.house import House
from tests.support.steered import house


@pytest.fixture(scope="session")
def reference() -> House:
    """A session to which nothing happens."""
    made = house()
    made.run()
    return made
