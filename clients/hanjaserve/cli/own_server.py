"""A server of a command's own, in its process: what `--local` means to a command that needs LiveConvert."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hanjaserve.cli.errors import USAGE, CliError


@asynccontextmanager
async def own_server(bundle: Path | None) -> AsyncIterator[str]:
    """Serve on a free port of 127.0.0.1 within the block; yields HOST:PORT.

    Args:
        bundle: The folder of the model; by default $HANJASERVE_BUNDLE, else the one that comes along.

    Raises:
        CliError: It can't be served.
    """
    from hanjaserve.server.config import ServerConfig
    from hanjaserve.server.errors import HanjaserveError
    from hanjaserve.server.front import Front
    from hanjaserve.server.model import Model, configured_rungs, default_bundle

    path = Path(bundle or os.environ.get("HANJASERVE_BUNDLE") or default_bundle())
    try:
        config = ServerConfig(port=0, runner=os.environ.get("HANJASERVE_RUNNER", "auto"))
        rungs = configured_rungs(config)

        async def open_model(front: Front) -> Model:
            return await Model.open(path, config, front.observer, on_change=front.describe, rungs=rungs)

        async with Front(config, open_model) as front:
            await front.go_live()
            yield f"{config.host}:{front.listener.port}"
    except HanjaserveError as error:
        raise CliError(str(error), USAGE) from error
