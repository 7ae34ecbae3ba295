"""The contract is true: requests generated from it, right and wrong, are answered as it says."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.edge.office import Office, make_office

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"), login_failures_max=1000)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_generated_request_is_answered_as_the_contract_says(office: Office, mode: GenerationMode):
    schema = schemathesis.openapi.from_asgi("/openapi.json", office.client.app)
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/federation/"):
            continue
        # There is no wrong way to ask for something that takes nothing.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            answered(office, operation.as_strategy(generation_mode=mode), mode)()
            tried.add(operation.label)
    assert len(tried) > 25


def answered(office: Office, strategy: Any, mode: GenerationMode) -> Callable[[], None]:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=strategy)
    def check(case: Case) -> None:
        response = case.call(headers=office.clerk)
        case.validate_response(response, checks=CHECKS + [negative_data_rejection] * (mode is GenerationMode.NEGATIVE))

    return check
