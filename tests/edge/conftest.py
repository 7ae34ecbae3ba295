"""The house of the evil-peer tests: one for each test module."""

from collections.abc import Iterator

import pytest

from tests.edge.evil import Evil, House, make_house, served


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = make_house(tmp_path_factory.mktemp("house"))
    with served(made.city) as made.url:
        yield made
        made.close()


@pytest.fixture
def evil(house: House) -> Evil:
    return house.evil()
