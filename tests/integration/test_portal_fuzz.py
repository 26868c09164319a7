"""Whatever is sent to the API, the answer is one that its OpenAPI document promises, and never our own fault.

Schemathesis makes requests from the document that the running portal gives, right ones and wrong ones. The
examples are few and the same every time, so that this stays cheap; more with PORTAL_FUZZ_EXAMPLES=200.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from portal_kit import API, Kit, portal
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("PORTAL_FUZZ_EXAMPLES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STREAMS = "/events"  # they do not end
HOLDERS = ("red", "organiser", None)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("portal")) as running:
        entry = running.hand_in("red")
        running.finish(entry, loss=0.5)
        running.hand_in("red")
        yield running


def known_names(kit: Kit) -> dict[str, list[str]]:
    """Names that exist beside those that do not: a fuzzer would never find one by itself."""
    return {"challenge": [kit.name], "entry": list(kit.ledger.state().entries)}


@pytest.mark.parametrize("who", HOLDERS, ids=str)
def test_no_request_is_answered_otherwise_than_promised(
    kit: Kit, who: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    schema = schemathesis.openapi.from_url(f"{kit.address}{API}/openapi.json")
    headers = kit.headers(who) if who else {}
    names = known_names(kit)
    tried = 0

    def one_operation(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: Any) -> None:
            nonlocal tried
            for key, known in names.items():
                if case.path_parameters and key in case.path_parameters and tried % 3:
                    case.path_parameters[key] = known[tried % len(known)]
            tried += 1
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=30)

        asked()

    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # what it cannot read, it raises
        if not operation.path.endswith(STREAMS):
            one_operation(operation)
    assert tried >= 15
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
