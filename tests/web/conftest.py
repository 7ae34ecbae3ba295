"""One office for the tests of its pages: a city below a province, with a clerk and an admin."""

import pytest

from tests.edge.office import Office, make_office
from tests.web.browser import Browser


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.fixture
def clerk(office: Office) -> Browser:
    return Browser(office.ctx).sign_in("李丹")


@pytest.fixture
def guest(office: Office) -> Browser:
    return Browser(office.ctx)
