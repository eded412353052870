"""The renderings, made once."""

from __future__ import annotations

import pytest

from tests.support.manifests import BASE, KIND, PASS, PRODUCTION, Document, kubectl, render


def _rendered(*folders: object) -> list[Document]:
    if kubectl() is None:
        pytest.skip("no kubectl beside this Python; `make unit` brings it")
    return [document for folder in folders for document in render(folder)]  # type: ignore[arg-type]  # paths, of above


@pytest.fixture(scope="session")
def base() -> list[Document]:
    return _rendered(BASE)


@pytest.fixture(scope="session")
def kind() -> list[Document]:
    return _rendered(KIND)


@pytest.fixture(scope="session")
def station() -> list[Document]:
    return _rendered(PASS)


@pytest.fixture(scope="session")
def production() -> list[Document]:
    return _rendered(PRODUCTION)
