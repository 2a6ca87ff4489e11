"""hanjaserve as a target of loads, through its own Python client."""

from collections.abc import AsyncIterator, Iterator, Sequence

from benchmarks.load import Refused
from hanjaserve.client import Client, Conversion, ConvertError


class Hanjaserve:
    """A server seen through the client: unary for one text, a batch for several."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def convert(self, texts: Sequence[str]) -> None:
        """See `Target.convert`."""
        try:
            if len(texts) == 1:
                await self._client.convert(texts[0])
                return
            results = await self._client.convert_batch(texts)
        except ConvertError as error:
            raise Refused(error.code.name) from None
        for result in results:
            if not isinstance(result, Conversion):
                raise Refused(result.code.name)

    async def flow(self, texts: Iterator[str] | AsyncIterator[str]) -> AsyncIterator[str]:
        """See `Flowing.flow`."""
        async for result in self._client.convert_stream(texts):
            if not isinstance(result, Conversion):
                raise Refused(result.code.name)
            yield result.text
