"""Forms in both eras of the protocol: a request to the client, or a result that requests input.

See https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation and, for the newer era,
https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/mrtr.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from .. import errors
from .decisions import GateForm, form_of, use_answer

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext

    from . import answers
    from .tool_threads import ToolThreads

# So many forms that were declined are remembered.
MAX_DECLINED = 1000
logger = logging.getLogger("coatcheck.mcp")


class Forms:
    """Forms about gates, where the server decides gates and the client shows forms; each is shown until it is declined."""

    def __init__(self, threads: ToolThreads) -> None:
        self._threads = threads
        self._declined: set[str] = set()

    async def form_for(
        self, context: ServerRequestContext[Any, Any], answer: answers.TaskOut | answers.Waited
    ) -> GateForm | None:
        """Return the form for what the task of *answer* waits for, None where none can be shown."""
        waiting = answer.waiting_for
        if waiting is None or waiting.gate is None or not self._threads.options.can_decide or not shows_forms(context):
            return None
        form: GateForm | None = await self._threads.run(self._form, waiting.gate)
        return None if form is None or form.key in self._declined else form

    def _form(self, address: str) -> GateForm | None:
        return form_of(self._threads.session.gates.find(address))

    async def show(self, context: ServerRequestContext[Any, Any], form: GateForm) -> bool:
        """Show a form by a request to the client, and carry out the answer; False where nothing was decided."""
        try:
            result = await context.session.elicit_form(form.message, dict(form.schema), context.request_id)
        except MCPError as error:
            logger.info("the client has shown no form: %s", error)
            return False
        return await self.use(form.key, result.action, result.content)

    async def use(self, key: str, action: object, content: object) -> bool:
        """Carry out the answer to a form; False where nothing was decided."""
        try:
            is_decided = bool(
                await self._threads.run(use_answer, self._threads.session, key, action, content, is_abandoned=False)
            )
        except errors.CoatcheckError as error:
            logger.warning("the answer to a form was not used: %s", error)
            return False
        if not is_decided and len(self._declined) < MAX_DECLINED:
            self._declined.add(key)
        return is_decided

    async def use_all(self, responses: Mapping[str, Any]) -> None:
        """Carry out the answers that a client sends with a request."""
        for key, response in responses.items():
            document = response.model_dump() if hasattr(response, "model_dump") else response
            if isinstance(document, Mapping):
                await self.use(key, document.get("action"), document.get("content"))


def shows_forms(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client shows forms: it declares elicitation, and not only that by URLs."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def input_request(form: GateForm) -> types.ElicitRequest:
    """Return the request of a form."""
    params = types.ElicitRequestFormParams(message=form.message, requested_schema=dict(form.schema))
    return types.ElicitRequest(params=params)


def input_required(form: GateForm) -> types.InputRequiredResult:
    """Return the result that requests a form; the client calls again with the answer."""
    return types.InputRequiredResult(input_requests={form.key: input_request(form)}, request_state=form.key)
