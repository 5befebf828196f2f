"""pyreqwest is imported so that no ending thread frees its allocator."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVER = """
import asyncio, contextlib, socket, threading
from coatcheck import AsyncClient, Client

BODY = b'{"items":[]}'
listener = socket.create_server(("127.0.0.1", 0))

def answer(connection):
    with contextlib.suppress(ConnectionError):  # a client that closes may reset its connection
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(BODY), BODY))

def serve():
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
OPTIONS = {"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/backend-api", "token": "t",
           "environ": {"COATCHECK_LEARN": "off"}}

def blocking():
    with Client("codex", **OPTIONS) as client:
        client.get_page()

async def asynchronous():
    async with AsyncClient("codex", **OPTIONS) as client:
        await client.get_page()

def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
"""

USES = {
    "one client after another": "blocking()",
    "clients in threads": "in_a_thread(blocking)",
    "asynchronous clients in threads": "in_a_thread(lambda: asyncio.run(asynchronous()))",
    "both": "in_a_thread(blocking); asyncio.run(asynchronous())",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_clients_of_ended_threads(use: str) -> None:
    """A process may open clients one after another, in threads that end meanwhile."""
    code = f"{SERVER}\nfor _ in range(8):\n    {use}\nprint('done')"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "done\n", "") == (process.returncode, process.stdout, process.stderr)
