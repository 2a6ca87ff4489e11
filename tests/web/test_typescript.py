"""The TypeScript client: its types, and its own tests, against a real server behind a real bridge."""

import asyncio
import os

from hanjaserve.client import Client

from .node import TYPESCRIPT, needs_node

TEXT = "대한민국. 😀 수도"
"""What test/server.test.ts converts."""


async def npm(script: str, **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        "npm", "run", "--silent", script,
        cwd=TYPESCRIPT, env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, output.decode()


@needs_node
async def test_types() -> None:
    assert await npm("check") == (0, "")


@needs_node
async def test_client(site: str, address: str) -> None:
    async with Client(address) as client, client.live() as live:
        await live.replace(TEXT)
        await live.commit()
        expected = live.text
        await client.put_glossary("names", {"대한민국": None, "수도": None})
    code, output = await npm("test", HANJASERVE_WEB=site, HANJASERVE_EXPECTED=expected)
    assert code == 0 and "# skipped 0" in output, output
