"""Run the purpose of Cursor's official SDK once; prints the results as JSON. Run by the Python that `make peers` installs.

`CURSOR_BACKEND_URL` and `CURSOR_API_KEY` are its server and its key.
"""

from __future__ import annotations

import json
import sys

import cursor_sdk
from cursor_sdk import CloudAgentOptions, CloudRepository

REPOSITORY = CloudRepository(url="https://github.com/owner/repo", starting_ref="main")


def new_agent(client: object) -> object:
    """Return an agent, which is created with its first prompt."""
    return client.agents.create(cloud=CloudAgentOptions(repos=[REPOSITORY], auto_create_pr=True), model="composer-2")


def raised(act: object) -> str:
    """Return the message of the error that *act* raises."""
    try:
        act()
    except cursor_sdk.CursorAgentError as error:
        return str(error)
    return "nothing"


def whole(client: object) -> object:
    """Run an agent, read what it made, and send another message."""
    agent = new_agent(client)
    run = agent.send("Say hello")
    kinds = [message.type for message in run.messages()]
    result = run.wait()
    listed = [each.agent_id for each in client.agents.list(runtime="cloud").items]
    return {
        "id": agent.agent_id,
        "kinds": kinds,
        "status": result.status,
        "text": result.result,
        "branch": result.git.branches[0].branch,
        "pull": result.git.branches[0].pr_url,
        "files": [file.path for file in agent.list_artifacts()],
        "file": agent.download_artifact("notes.md").decode(),
        "tokens": agent.get_usage().usage.total_tokens,
        "listed": listed,
        "models": [model.id for model in client.models.list()],
        "repositories": [each.url for each in client.repositories.list()],
        "again": agent.send("And the world").wait().status,
    }


def acts(client: object) -> object:
    """Archive, unarchive and delete an agent, and read it in between."""
    agent = new_agent(client)
    agent.send("Say hello").wait()
    client.agents.archive(agent.agent_id)
    refused = raised(lambda: agent.send("more"))
    client.agents.unarchive(agent.agent_id)
    client.agents.delete(agent.agent_id)
    return {"refused": refused, "deleted": raised(lambda: client.agents.get(agent.agent_id))}


def look(client: object, id: str) -> object:
    """Read an agent that another client created, with its runs, and follow the latest."""
    info = client.agents.get(id)
    runs = client.agents.list_runs(id, runtime="cloud").items
    return {"id": info.agent_id, "name": info.name, "repos": list(info.repos), "run": runs[0].wait().status}


def cut(client: object) -> object:
    """Create an agent on a connection that is cut."""
    return {"error": raised(lambda: new_agent(client).send("Say hello").wait())}


def main() -> None:
    """Run the part that the arguments name."""
    name, *arguments = sys.argv[1:]
    client = cursor_sdk.Client.launch_bridge()
    try:
        result = {"whole": whole, "acts": acts, "look": look, "cut": cut}[name](client, *arguments)
        sys.stdout.write(json.dumps(result))
    finally:
        client.close()


if __name__ == "__main__":
    main()
