"""The methods of the service that store glossaries."""

import asyncio
from typing import Any

from hanjaserve.server.gate import Gate
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.messages import check_parsed, entries_from, glossary_info, glossary_message
from hanjaserve.v1 import hanjaserve_pb2 as pb


class GlossaryService:
    """A part of `HanjaService`; `context` is a `grpc.aio.ServicerContext` throughout."""

    _gate: Gate

    def _glossaries(self) -> Glossaries:
        """Where they are stored; raises Draining while the server loads."""
        raise NotImplementedError

    async def PutGlossary(self, request: pb.PutGlossaryRequest, context: Any) -> pb.PutGlossaryResponse:
        """Store a glossary."""
        async with self._gate.call(context, "PutGlossary"):
            glossaries = self._glossaries()
            check_parsed(request)
            # A large one takes long to check; other calls go on meanwhile.
            entries = entries_from(request.glossary)
            glossary = await asyncio.to_thread(glossaries.check, entries)
            await glossaries.store(request.id, glossary, request.expected_version)
            return pb.PutGlossaryResponse(info=glossary_info(request.id, glossary))

    async def GetGlossary(self, request: pb.GetGlossaryRequest, context: Any) -> pb.GetGlossaryResponse:
        """Return a stored glossary."""
        async with self._gate.call(context, "GetGlossary"):
            glossaries = self._glossaries()
            check_parsed(request)
            glossary = glossaries.get(request.id)
            return pb.GetGlossaryResponse(
                info=glossary_info(request.id, glossary), glossary=glossary_message(glossary)
            )

    async def DeleteGlossary(
        self, request: pb.DeleteGlossaryRequest, context: Any
    ) -> pb.DeleteGlossaryResponse:
        """Forget a stored glossary."""
        async with self._gate.call(context, "DeleteGlossary"):
            glossaries = self._glossaries()
            check_parsed(request)
            await glossaries.remove(request.id, request.expected_version)
            return pb.DeleteGlossaryResponse()

    async def ListGlossaries(
        self, request: pb.ListGlossariesRequest, context: Any
    ) -> pb.ListGlossariesResponse:
        """List the stored glossaries."""
        async with self._gate.call(context, "ListGlossaries"):
            glossaries = self._glossaries()
            check_parsed(request)
            return pb.ListGlossariesResponse(
                glossaries=[glossary_info(name, glossaries.get(name)) for name in glossaries.names()]
            )
