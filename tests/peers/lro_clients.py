"""Run a whole long-running operation with each of two official clients; prints the results as JSON."""

from __future__ import annotations

import json
import sys

TOKEN = {"authorization": "Bearer http202-test-token"}


def azure(base: str, *, path: str) -> object:
    """Submit with azure-core's pipeline and wait with its LROPoller."""
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import HeadersPolicy, RedirectPolicy, RequestIdPolicy
    from azure.core.polling import LROPoller
    from azure.core.polling.base_polling import LROBasePolling
    from azure.core.rest import HttpRequest

    with PipelineClient(base, policies=[RequestIdPolicy(), RedirectPolicy(), HeadersPolicy(TOKEN)]) as client:
        first = client.send_request(
            HttpRequest("POST", base + path, json={"prompt": "Say hello"}), _return_pipeline_response=True
        )
        poller = LROPoller(client, first, lambda response: response.http_response.json(), LROBasePolling(timeout=0))
        return {"result": poller.result(timeout=20), "status": poller.status()}


def google(base: str, *, path: str) -> object:
    """Submit with requests and wait with google-api-core's Operation."""
    import requests
    from google.api_core import operation, operations_v1
    from google.api_core.future.polling import DEFAULT_POLLING
    from google.auth.credentials import AnonymousCredentials
    from google.longrunning import operations_pb2
    from google.protobuf import json_format, struct_pb2

    class Ours(AnonymousCredentials):
        def before_request(self, request, method, url, headers):  # noqa: ANN001, ANN202 - their signature
            headers.update(TOKEN)

    answer = requests.post(base + path, json={"prompt": "Say hello"}, headers=TOKEN, timeout=20)
    message = json_format.Parse(answer.text, operations_pb2.Operation())
    transport = operations_v1.OperationsRestTransport(host=base, credentials=Ours())
    client = operations_v1.AbstractOperationsClient(transport=transport)
    waiting = operation.from_gapic(
        message,
        client,
        struct_pb2.Struct,
        polling=DEFAULT_POLLING.with_delay(initial=0.01, maximum=0.05).with_timeout(20),
    )
    result = json_format.MessageToDict(waiting.result())
    return {
        "result": result,
        "done": waiting.done(),
        "listed": [each.name for each in client.list_operations("projects/demo")],
    }


if __name__ == "__main__":
    name, base, path = sys.argv[1:]
    try:
        seen = {"azure": azure, "google": google}[name](base, path=path)
    except Exception as error:  # noqa: BLE001 - what it is, is what is asked
        seen = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(seen))  # noqa: T201 - how it answers
