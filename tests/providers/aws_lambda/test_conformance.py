from __future__ import annotations

from coatcheck.cloud.faults import RepeatingCursor
from coatcheck.providers.aws_lambda import extract
from coatcheck.testing.conformance import ProviderConformance, Transcript
from coatcheck.testing.emulators.aws_lambda import LambdaEmulator

from .lambda_support import DURABLES, PLAIN_SPEC, PLAINS, SPEC, execution, record

RESULT = '{"message":"Done","patch":"diff --git a/x b/x\\n","pull_request":{"url":"https://git.example/1"}}'
ERROR = {"ErrorType": "AgentError", "ErrorMessage": "It gave up.", "StackTrace": ["a", "b"]}


class TestDurable(ProviderConformance):
    """Durable executions pass the conformance tests, against the emulator."""

    provider = staticmethod(lambda: DURABLES)
    emulator = LambdaEmulator
    spec = SPEC
    states = extract.STATES
    state_in, state_at = "running", ("Status",)
    repeating_cursor = staticmethod(
        lambda: RepeatingCursor(on="list_tasks", cursor="0", parameter="Marker", key="NextMarker")
    )
    transcripts = {  # noqa: RUF012 - attributes are what a conformance class is made of
        "running": Transcript(execution()),
        "done": Transcript(execution(Status="SUCCEEDED", Result=RESULT, EndTimestamp=1790000100)),
        "failed": Transcript(execution(Status="FAILED", Error=ERROR, EndTimestamp=1790000100)),
    }


class TestAsynchronous(ProviderConformance):
    """Plain invocations pass the conformance tests of a service without status requests."""

    provider = staticmethod(lambda: PLAINS)
    emulator = LambdaEmulator
    spec = PLAIN_SPEC
    states = extract.CONDITIONS
    state_in, state_at = "success", ("requestContext", "condition")
    transcripts = {  # noqa: RUF012 - as above
        "success": Transcript(record()),
        "failure": Transcript(
            record(
                responseContext={"statusCode": 200, "functionError": "Unhandled"},
                responsePayload={"errorType": "AgentError", "errorMessage": "It gave up."},
            )
        ),
    }
