"""Speaks KServe v2 to a running server with NVIDIA's client: `python check.py HOST:PORT MODEL`.

Runs in an environment of its own (requirements.txt), because that client brings stubs of the same names as
the server's, and versions of other packages. Exits with 0 if every answer is as the protocol has it.
"""

import asyncio
import sys

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

TEXT = "대한민국의 수도는 서울이다"


def tensor(*texts: str) -> triton.InferInput:
    """Texts as the client sends them."""
    made = triton.InferInput("TEXT", [len(texts), 1], "BYTES")
    made.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=np.object_))
    return made


def texts_of(result: triton.InferResult) -> list[str]:
    """Texts as the client gives them."""
    return [element.decode() for element in result.as_numpy("CONVERTED").ravel()]


async def check(address: str, model: str) -> None:
    """Call every method."""
    async with triton.InferenceServerClient(address) as client:
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready(model) and not await client.is_model_ready("none")
        assert (await client.get_server_metadata()).name == "hanjaserve"
        assert (await client.get_model_metadata(model)).inputs[0].datatype == "BYTES"
        assert (await client.get_model_config(model)).config.max_batch_size > 0
        result = await client.infer(model, [tensor(TEXT, "abc")], request_id="7", timeout=10_000_000)
        first, second = texts_of(result)
        assert len(first) == len(TEXT) and second == "abc", (first, second)
        assert result.get_response().id == "7"
        try:
            await client.infer(model, [tensor(TEXT)], parameters={"style": "none"})
            raise AssertionError("an unknown style was accepted")
        except InferenceServerException as error:
            assert "style" in str(error)

        async def requests():
            for number in range(100):
                yield {"model_name": model, "inputs": [tensor(f"{TEXT} {number}")], "request_id": str(number)}

        answers = [answer async for answer in client.stream_infer(requests())]
        assert all(error is None for _, error in answers)
        assert [result.get_response().id for result, _ in answers] == [str(n) for n in range(100)]
        statistics = await client.get_inference_statistics(model)
        assert statistics.model_stats[0].inference_count >= 102
        print(f"{TEXT} -> {first}")


if __name__ == "__main__":
    asyncio.run(check(*sys.argv[1:3]))
