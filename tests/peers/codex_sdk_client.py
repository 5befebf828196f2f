"""Drive an app-server with OpenAI's Python SDK and print what it read, as JSON: codex_sdk_client.py PROGRAM."""

import json
import sys
from typing import Any

from openai_codex import Codex, CodexConfig


def ran(thread: Any, prompt: str) -> object:
    """Run a turn and return how it ended."""
    try:
        result = thread.run(prompt)
    except RuntimeError as error:  # the SDK's error of a turn that failed
        return [type(error).__name__, str(error)]
    kinds = [item.root.type for item in result.items]
    return [result.status.value, result.final_response, kinds]


def main() -> None:
    """Print the results of every call that the emulator answers."""
    read: dict[str, object] = {}
    with Codex(CodexConfig(codex_bin=sys.argv[1])) as codex:
        thread = codex.thread_start(cwd="/srv")
        thread.set_name("A name")
        read["turn"] = ran(thread, "Say hello")
        read["again"] = ran(thread, "again")
        read["approval"] = ran(thread, "approve")
        read["failure"] = ran(codex.thread_start(cwd="/srv"), "fail")
        other = codex.thread_start(cwd="/srv").turn("wait")
        other.steer("and more")
        other.interrupt()
        read["interruption"] = other.run().status.value
        read["name"] = thread.read().thread.name
        read["listed"] = len(codex.thread_list().data)
        codex.thread_archive(thread.id)
        read["archived"] = [each.id == thread.id for each in codex.thread_list(archived=True).data]
        codex.thread_unarchive(thread.id)
        read["resumed"] = codex.thread_resume(thread.id).id == thread.id
        read["models"] = [model.id for model in codex.models().data]
    json.dump(read, sys.stdout)


if __name__ == "__main__":
    main()
