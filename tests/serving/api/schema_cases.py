"""Requests that schemathesis makes up from the OpenAPI document, fitting and unfitting ones, against the whole app."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.api.conftest import GRAPH, TOKENS, Served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIMITS = {"requests_per_minute": 10**6, "queued_jobs": 10**6, "wait_seconds": 0, "event_streams": 10**3}


@strategies.composite
def drawn(draw: strategies.DrawFn, cases: strategies.SearchStrategy[schemathesis.Case]) -> schemathesis.Case:
    """A case; where schemathesis trips over a file in a form that it has changed (as of 4.32), another is drawn."""
    try:
        return draw(cases)
    except ValueError as error:
        if "Unsupported type: 'Binary'" not in str(error):
            raise
        hypothesis.reject()


def run(folder: Path, per_operation: int) -> int:
    """So many requests for every operation and mode; half of those with an id in them name a job that is there.

    Returns how many were made; raises what a check finds.
    """
    served = Served(folder, tokens=TOKENS, limits=LIMITS)
    authorized = {"Authorization": f"Bearer {TOKENS['ann']}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", served.app, headers=authorized)
    client, made = served.client(TOKENS["ann"]), 0

    def existing(path: str) -> str:
        if "plans" in path:
            return str(client.post("/v1/plans", json={"prompt": "a dog", "background": True}).json()["id"])
        ident = str(client.post("/v1/videos", json={"dsg": GRAPH}).json()["id"])
        client.post(f"/v1/videos/{ident}/cancel")
        return ident

    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            try:
                cases = drawn(operation.as_strategy(generation_mode=mode))
            except schemathesis.errors.SchemathesisError:  # there is nothing to get wrong about it
                continue

            @hypothesis.settings(
                max_examples=per_operation,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @hypothesis.given(case=cases, there=strategies.booleans())
            def ask(case: schemathesis.Case, there: bool) -> None:
                nonlocal made
                if there and case.path_parameters and "id" in case.path_parameters and "/models/" not in case.path:
                    case.path_parameters["id"] = existing(case.path)
                    if case.path.endswith("/events"):
                        client.post(f"/v1/plans/{case.path_parameters['id']}/cancel")  # or its stream would not end
                headers = {**(case.headers or {}), **authorized}
                response = case.call(headers=headers)
                made += 1
                case.validate_response(response, checks=CHECKS)
                assert "Traceback" not in response.text

            ask()
    served.store.close()
    return made
