"""A durable function for AWS Lambda whose prompt selects what it does. Run by awslambdaric."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration

PATCH = "--- /dev/null\n+++ b/hello.txt\n@@ -0,0 +1 @@\n+Hello\n"


@durable_step
def think(step: StepContext, prompt: str) -> str:
    """Do the step that is executed once, however often the function is replayed."""
    del step
    return f"Done: {prompt}"


@durable_execution
def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Execute the prompt."""
    prompt = event["prompt"]
    text = context.step(think(prompt), name="think")
    if prompt == "Fail":
        raise ValueError("there is no such file")
    if prompt == "Sleep":
        context.wait(Duration.from_hours(1), name="sleep")
    if prompt == "Ask":
        text = f"{text}, and was told: {context.create_callback(name='review').result()}"
    return {"message": text, "patch": PATCH}
