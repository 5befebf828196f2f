"""A model for `llm` that calls the tools of the plug-in, one after the other: run by test_llm.py in llm's own environment.

It submits, waits, reads the diff and prints each answer as a line of JSON; then it prints a fragment.
"""

import json
import sys

import llm
from llm_coatcheck import Coatcheck, load_fragment

CALLS = ("submit_task", "wait_for_task", "get_result", "list_tasks")


class Scripted(llm.Model):
    """Answer with the next call, with the ref of the first answer."""

    model_id = "scripted"
    supports_tools = True

    def execute(self, prompt, stream, response, conversation):
        """Add one call, or say what the last one returned."""
        for result in prompt.tool_results:
            try:
                outputs.append(json.loads(result.output))
            except ValueError:
                sys.exit(f"{result.name}: {result.output}")
        if len(outputs) == len(CALLS):
            yield "done"
            return
        name = CALLS[len(outputs)]
        ref = {"ref": outputs[0]["ref"]} if outputs else {}
        arguments = {
            "submit_task": {"prompt": "Say hello", "environment": "owner/repo"},
            "wait_for_task": ref,
            "get_result": {**ref, "what": "diff"},
            "list_tasks": {},
        }[name]
        response.add_tool_call(llm.ToolCall(name=f"Coatcheck_{name}", arguments=arguments))
        yield ""


outputs = []
toolbox = Coatcheck()
answer = Scripted().conversation().chain("Go", tools=[toolbox], chain_limit=10).text()
again = toolbox.submit_task("Say hello", environment="owner/repo")
fragment = load_fragment(outputs[0]["ref"])
print(
    json.dumps({"answer": answer, "outputs": outputs, "again": again, "fragment": fragment, "source": fragment.source})
)
