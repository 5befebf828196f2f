from __future__ import annotations

from pathlib import Path

import msgspec

from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.scripted_cloud import ScriptedCloud

DATA = Path(__file__).parent / "data"


class Caller:
    """A client of a cloud's router, as thin as it gets."""

    def __init__(self, cloud: ScriptedCloud, *, base: str = "/backend-api/wham") -> None:
        self.cloud = cloud
        self.base = base
        self.token = cloud.tokens.access_token

    def ask(self, method: str, path: str, body: object = None, **query: str) -> Response:
        headers = (("authorization", f"Bearer {self.token}"), ("content-type", "application/json"))
        data = b"" if body is None else msgspec.json.encode(body)
        return self.cloud.handle(
            Request(method, self.base + path, query=tuple(query.items()), headers=headers, body=data)
        )

    def get(self, path: str, **query: str) -> dict:
        return read(self.ask("GET", path, **query))

    def post(self, path: str, body: object = None) -> dict:
        return read(self.ask("POST", path, body))

    def create(self, prompt: str = "Say hello", *, attempts: int = 1, **new_task: object) -> dict:
        body = create_body(prompt, attempts=attempts, **new_task)
        return self.post("/tasks", body)


def read(response: Response) -> dict:
    """Return the document of an answer that must be good."""
    assert response.status == 200, response.body
    return msgspec.json.decode(response.body)


def create_body(prompt: str = "Say hello", *, attempts: int = 1, **new_task: object) -> dict:
    """What the official client sends (docs/reference/protocols/codex-wham.md, 2.2)."""
    body = {
        "new_task": {
            "environment_id": "e0000000000000000000000000000001",
            "branch": "main",
            "run_environment_in_qa_mode": False,
            **new_task,
        },
        "input_items": [
            {"type": "message", "role": "user", "content": [{"content_type": "text", "text": prompt}]},
        ],
    }
    return {**body, "metadata": {"best_of_n": attempts}} if attempts > 1 else body


def load(name: str) -> dict:
    """Return a recorded answer."""
    return msgspec.json.decode((DATA / f"{name}.json").read_bytes())
