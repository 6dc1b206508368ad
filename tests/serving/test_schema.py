"""Requests that schemathesis makes from the OpenAPI description get answers that are described."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings


@pytest.mark.soak
def test_every_answer_is_as_described(running):
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    with running(number=2, token="secret", characters=500, rate=100_000) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert {each.path for each in operations} == {"/predict", "/health", "/metrics"}
        for operation in operations:
            _check(operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
            if operation.method == "post":  # the others take nothing that could be wrong
                _check(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))


def _check(cases) -> None:
    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case) -> None:
        case.call_and_validate(headers={"Authorization": "Bearer secret"})

    check()
