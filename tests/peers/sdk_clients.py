"""Run the purpose of each official SDK once; prints the results as JSON. Run by the Python that `make peers` installs."""

from __future__ import annotations

import json
import sys
import time

KEYS = {"aws_access_key_id": "AKIDEMULATOR", "aws_secret_access_key": "emulated/secret+key", "region_name": "us-east-1"}


def lambda_client(base: str, service: str = "lambda") -> object:
    """Return boto3's client without retries."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=base, config=config, **KEYS)


def raised(act: object, **arguments: object) -> str:
    """Return the code of the error that *act* raises."""
    from botocore.exceptions import ClientError

    try:
        act(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "nothing"


def durable(base: str) -> object:
    """Start a durable execution, find it by its name, wait for its end, and read its history."""
    client = lambda_client(base)
    asked = {
        "FunctionName": "agent",
        "Qualifier": "live",
        "InvocationType": "Event",
        "DurableExecutionName": "nightly-7",
    }
    arns = [client.invoke(**asked, Payload=b'{"prompt":"Say hello"}')["DurableExecutionArn"] for _ in range(2)]
    listed = client.list_durable_executions_by_function(FunctionName="agent", DurableExecutionName="nightly-7")
    while (seen := client.get_durable_execution(DurableExecutionArn=arns[0]))["Status"] == "RUNNING":
        time.sleep(0.01)
    history = client.get_durable_execution_history(DurableExecutionArn=arns[0])
    return {
        "arns": arns,
        "listed": [each["DurableExecutionArn"] for each in listed["DurableExecutions"]],
        "status": seen["Status"],
        "result": json.loads(seen["Result"]),
        "events": [event["EventType"] for event in history["Events"]],
        "reused": raised(client.invoke, **asked, Payload=b'{"prompt":"other"}'),
        "nobody": raised(client.invoke, FunctionName="nobody", InvocationType="Event"),
        "unqualified": raised(client.invoke, FunctionName="agent", InvocationType="Event"),
        "too large": raised(client.invoke, **asked, Payload=b'"' + b"x" * 1_100_000 + b'"'),
    }


def look(base: str, arn: str) -> object:
    """Read an execution that another client started, and stop a second one."""
    seen = lambda_client(base).get_durable_execution(DurableExecutionArn=arn)
    return {"status": seen["Status"], "input": json.loads(seen["InputPayload"])}


def seen(base: str, arn: str) -> object:
    """Poll an execution that another client started until it ends, and read its history."""
    client = lambda_client(base)
    found = client.get_durable_execution(DurableExecutionArn=arn)
    happened = client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
    return {
        "status": found["Status"],
        "result": found.get("Result"),
        "events": [each["EventType"] for each in happened],
    }


def listed(base: str, function: str) -> object:
    """List the executions of a function."""
    found = lambda_client(base).list_durable_executions_by_function(FunctionName=function)
    return {"arns": [each["DurableExecutionArn"] for each in found["DurableExecutions"]]}


def queue(base: str, url: str) -> object:
    """Invoke a plain function, and read its record from the queue."""
    client, sqs = lambda_client(base), lambda_client(base, "sqs")
    id = client.invoke(FunctionName="plain-agent", InvocationType="Event", Payload=b'{"prompt":"Say hello"}')[
        "ResponseMetadata"
    ]["RequestId"]
    while not (messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages")):
        time.sleep(0.01)
    entries = [{"Id": "0", "ReceiptHandle": messages[0]["ReceiptHandle"]}]
    sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    record = json.loads(messages[0]["Body"])
    return {"id": id, "record": record["requestContext"]["requestId"], "made": record["responsePayload"]["message"]}


def make_queue(base: str, *bodies: str) -> object:
    """Create a queue at moto's SQS, and send *bodies* to it."""
    sqs = lambda_client(base, "sqs")
    url = sqs.create_queue(QueueName="ends")["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return {"url": url}


def left(base: str, url: str) -> object:
    """Return the messages in a queue, visible or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = lambda_client(base, "sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return {"left": sum(map(int, found.values()))}


def openai(base: str) -> object:
    """Upload, create, wait, and read the result of each request."""
    import io

    from openai import OpenAI

    client = OpenAI(base_url=f"{base}/v1", api_key="batch-test-key", max_retries=0)
    lines = [
        {"custom_id": id, "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": f"Say {id}"}}
        for id in ("a", "b")
    ]
    data = io.BytesIO("\n".join(map(json.dumps, lines)).encode())
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/responses", completion_window="24h", metadata={"who": "them"}
    )
    while (batch := client.batches.retrieve(batch.id)).status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.01)
    read = [
        json.loads(line)
        for id in (batch.output_file_id, batch.error_file_id)
        if id
        for line in client.files.content(id).text.splitlines()
    ]
    return {
        "id": batch.id,
        "status": batch.status,
        "counts": batch.request_counts.model_dump(),
        "items": {line["custom_id"]: line["response"]["status_code"] for line in read},
        "listed": [each.id for each in client.batches.list()],
    }


def anthropic(base: str) -> object:
    """Create, wait, and read the result of each request."""
    from anthropic import Anthropic

    client = Anthropic(base_url=base, api_key="batch-test-key", max_retries=0)
    requests = [
        {
            "custom_id": id,
            "params": {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": f"Say {id}"}]},
        }
        for id in ("a", "b")
    ]
    batch = client.messages.batches.create(requests=requests)
    while (batch := client.messages.batches.retrieve(batch.id)).processing_status != "ended":
        time.sleep(0.01)
    return {
        "id": batch.id,
        "counts": batch.request_counts.model_dump(),
        "items": {each.custom_id: each.result.type for each in client.messages.batches.results(batch.id)},
        "listed": [each.id for each in client.messages.batches.list()],
        "deleted": client.messages.batches.delete(batch.id).id,
    }


def sessions(base: str) -> object:
    """Run a session, read its events and files, list, interrupt, archive and delete; its answers are strictly valid."""
    from anthropic import Anthropic
    from anthropic.types.beta import BetaManagedAgentsSession

    client = Anthropic(base_url=base, api_key="claude-agents-test-key", max_retries=0)
    environment = next(iter(client.beta.environments.list()))
    prompt = {"type": "user.message", "content": [{"type": "text", "text": "Say hello"}]}
    made = client.beta.sessions.create(
        agent="agent_1",
        environment_id=environment.id,
        metadata={"who": "them"},
        resources=[
            {"type": "github_repository", "url": "https://github.com/owner/repo", "mount_path": "/workspace/repo"}
        ],
        budget={"type": "limit", "max_list_cost": {"amount": "500", "currency": "USD"}},
        initial_events=[prompt],
    )
    with client.beta.sessions.events.stream(made.id) as stream:
        live = [event.type for event in stream]
    now = client.beta.sessions.retrieve(made.id)
    BetaManagedAgentsSession.model_validate(now.model_dump(), strict=True)
    last = next(iter(client.beta.sessions.events.list(made.id, order="desc", types=["session.status_idle"], limit=1)))
    files = {
        file.filename: client.beta.files.download(file.id).text() for file in client.beta.files.list(scope_id=made.id)
    }
    kinds = [event.type for event in client.beta.sessions.events.list(made.id)]
    sent = client.beta.sessions.events.send(made.id, events=[{"type": "user.interrupt"}]).data
    return {
        "id": made.id,
        "status": now.status,
        "reason": last.stop_reason.type,
        "kinds": kinds,
        "live": live,
        "files": files,
        "sent": [event.type for event in sent],
        "listed": [each.id for each in client.beta.sessions.list(statuses=["idle"])],
        "cost": now.usage.list_cost.amount,
    }


def end_session(base: str, id: str) -> object:
    """Read the metadata of a session that another client created, archive it and delete it."""
    from anthropic import Anthropic

    client = Anthropic(base_url=base, api_key="claude-agents-test-key", max_retries=0)
    metadata = client.beta.sessions.retrieve(id).metadata
    status = client.beta.sessions.archive(id).status
    return {"metadata": metadata, "status": status, "deleted": client.beta.sessions.delete(id).id}


def agents(base: str) -> object:
    """Run a session, read its turns, items and artifacts, find it by its metadata, cancel it; its answers are valid."""
    from openai import OpenAI
    from openai.types.beta.agents.sessions import SessionArtifact, Turn

    client = OpenAI(base_url=f"{base}/v1", api_key="openai-agents-test-key", max_retries=0)
    sessions = client.beta.agents.sessions
    environment = {"type": "openai_hosted", "setup_commands": [{"command": "git clone x", "cwd": "/workspace"}]}
    made = sessions.create(
        agent={"model": "m"},
        environment=environment,
        input="Say hello",
        metadata={"k": "1"},
        spend_control={"limit": 500},
    )
    with sessions.events.stream(made.id) as stream:
        live = [event.type for event in stream]
    now = sessions.retrieve(made.id)
    turn = next(iter(sessions.turns.list(made.id)))
    artifacts = list(sessions.artifacts.list(made.id))
    Turn.model_validate(turn.model_dump(), strict=True)
    SessionArtifact.model_validate(artifacts[0].model_dump(), strict=True)
    sessions.events.create(made.id, events=[{"type": "agent.session.input.cancel"}], idempotency_key="c")
    return {
        "id": made.id,
        "status": now.status,
        "turn": turn.status,
        "live": live,
        "items": [item.type for item in sessions.items.list(made.id, order="asc")],
        "files": sorted(artifact.path for artifact in artifacts),
        "found": [each.id for each in sessions.list(metadata={"k": "1"})],
        "not found": [each.id for each in sessions.list(metadata={"k": "2"})],
        "spent": now.spend_control.consumed,
    }


def end_agent(base: str, id: str) -> object:
    """Read the metadata of a session that another client created, and delete it."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{base}/v1", api_key="openai-agents-test-key", max_retries=0)
    metadata = client.beta.agents.sessions.retrieve(id).metadata
    return {"metadata": metadata, "deleted": client.beta.agents.sessions.delete(id).deleted}


if __name__ == "__main__":
    acts = (
        durable,
        look,
        seen,
        listed,
        queue,
        make_queue,
        left,
        openai,
        anthropic,
        sessions,
        end_session,
        agents,
        end_agent,
    )
    name, *arguments = sys.argv[1:]
    print(json.dumps({act.__name__: act for act in acts}[name](*arguments)))  # noqa: T201 - how it answers
