"""Run the agents of docs/recipes/agents.md with models that follow a script: agent_frameworks.py NAME.

It runs in the environment of the frameworks, in a folder with the files of the page, and prints what each tool returned.
"""

import asyncio
import itertools
import json
import sys

sys.path.insert(0, ".")
CALLS = ("submit_task", "wait_for_task", "read_change")


def arguments_of(name, outputs):
    """Return the arguments of the next call."""
    return {"prompt": "Say hello", "repository": "owner/repo"} if name == "submit_task" else {"ref": outputs[0]["ref"]}


def run_langgraph():
    """Return the answers of the tools in a graph."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langgraph_agent import build_agent

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self):
            return "scripted"

        def bind_tools(self, tools, **kwargs):
            return self

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            outputs = [json.loads(each.content) for each in messages if isinstance(each, ToolMessage)]
            calls = []
            if len(outputs) < len(CALLS):
                name = CALLS[len(outputs)]
                calls = [{"name": name, "args": arguments_of(name, outputs), "id": f"call{len(outputs)}"}]
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content="", tool_calls=calls))])

    state = asyncio.run(build_agent(Scripted()).ainvoke({"messages": [("user", "Go")]}))
    return [json.loads(each.content) for each in state["messages"] if isinstance(each, ToolMessage)]


def run_openai():
    """Return the answers of the tools of an agent of the SDK."""
    from agents import Model, ModelResponse, Runner, Usage, set_tracing_disabled
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
    from openai_agent import build_agent

    set_tracing_disabled(True)
    outputs, numbers = [], itertools.count(1)

    class Scripted(Model):
        async def get_response(self, system_instructions, input, *args, **kwargs):
            items = [] if isinstance(input, str) else input
            found = [each for each in items if each.get("type") == "function_call_output"]
            outputs[:] = [read(each["output"]) for each in found]
            if len(outputs) < len(CALLS):
                name = CALLS[len(outputs)]
                item = ResponseFunctionToolCall(
                    arguments=json.dumps(arguments_of(name, outputs)),
                    call_id=f"call{next(numbers)}",
                    name=name,
                    type="function_call",
                )
            else:
                text = ResponseOutputText(annotations=[], text="done", type="output_text")
                item = ResponseOutputMessage(
                    id="m", content=[text], role="assistant", status="completed", type="message"
                )
            return ModelResponse(output=[item], usage=Usage(), response_id=None)

        def stream_response(self, *args, **kwargs):
            raise NotImplementedError

    def read(output):
        try:
            return json.loads(output)
        except ValueError:
            import ast

            return ast.literal_eval(output)  # the SDK writes a dict as Python does

    asyncio.run(Runner.run(build_agent(Scripted()), "Go"))
    return outputs


print(json.dumps({"langgraph": run_langgraph, "openai": run_openai}[sys.argv[1]]()))
