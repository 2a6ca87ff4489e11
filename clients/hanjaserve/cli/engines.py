"""What converts for a command: a server (`--target`), or this process (`--local`).

Both look the same: texts in, results in order out, with the result types of the client. A local
engine loads the model and a runner but no server and no event loop.
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hanjaserve.cli.access import add_access_arguments, no_server, open_client
from hanjaserve.cli.errors import FAILED, NO_SERVER, USAGE, CliError
from hanjaserve.client import (
    DEFAULT_TARGET,
    Alternative,
    Conversion,
    ConvertError,
    ConvertOptions,
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    ItemError,
    Result,
    ServerInfo,
    Span,
    SpanSource,
    SyncClient,
    Unavailable,
)

if TYPE_CHECKING:
    from hanjaserve.server.assembly import Conversion as LocalConversion
    from hanjaserve.server.bundle import Bundle
    from hanjaserve.server.errors import HanjaserveError
    from hanjaserve.server.local import LocalConverter
    from hanjaserve.server.options import Options

WARM_UP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Which model converts, and where.

    Attributes:
        where: The address of the server, or the folder of the bundle.
        model: The name of the model.
        revision: Its content hash.
        scheme: "syllable" or "word".
        runner: What computes.
        skipped: Which runners were skipped, and why.
        styles: The orthographic styles that it knows.
        bundle: The folder of the bundle when it is known.
    """

    where: str
    model: str
    revision: str
    scheme: str
    runner: str
    skipped: tuple[str, ...]
    styles: tuple[str, ...]
    bundle: Path | None = None


class Engine(Protocol):
    """Converts texts."""

    info: EngineInfo

    def convert(self, chunks: Iterable[Sequence[str]], options: ConvertOptions) -> Iterator[Result]:
        """Convert texts; chunks are what came in at once, and answers do not wait for more."""


class RemoteEngine:
    """Converts on a server."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client
        info = _contact(client)
        self.info = EngineInfo(
            where=client.target,
            model=info.model,
            revision=info.model_revision,
            scheme=info.scheme,
            runner=info.runner,
            skipped=info.ladder,
            styles=info.styles,
        )

    def convert(self, chunks: Iterable[Sequence[str]], options: ConvertOptions) -> Iterator[Result]:
        """See `Engine.convert`."""
        try:
            yield from self._client.convert_stream(
                chain.from_iterable(chunks),
                **options.as_fields(),
            )
        except ConvertError as error:
            exit_code = NO_SERVER if isinstance(error, Unavailable) else FAILED
            raise CliError(f"server at {self._client.target}: {error}", exit_code) from error


class LocalEngine:
    """Converts in this process."""

    def __init__(self, local: "LocalConverter") -> None:
        self._local = local
        manifest = local.bundle.manifest
        self.info = EngineInfo(
            where=str(local.bundle.root),
            model=manifest.name,
            revision=manifest.revision,
            scheme=manifest.scheme,
            runner=local.runner_name,
            skipped=tuple(local.skipped),
            styles=tuple(manifest.styles),
            bundle=local.bundle.root,
        )

    def convert(self, chunks: Iterable[Sequence[str]], options: ConvertOptions) -> Iterator[Result]:
        """See `Engine.convert`."""
        server_options = local_options(options, self._local.bundle)
        for texts in chunks:
            yield from self._batch(texts, server_options)

    def _batch(self, texts: Sequence[str], options: "Options") -> list[Result]:
        from hanjaserve.server.errors import HanjaserveError

        try:
            return [_conversion(found) for found in self._local.convert_batch(texts, options)]
        except HanjaserveError as error:
            if len(texts) == 1:
                return [ItemError(error=_client_error(error))]
        # One of them is bad: find out which.
        return [result for text in texts for result in self._batch([text], options)]


def local_options(options: ConvertOptions, bundle: "Bundle") -> "Options":
    """The options as a converter in this process takes them.

    Raises:
        CliError: The bundle can't do what they ask for.
    """
    from hanjaserve.server.errors import HanjaserveError
    from hanjaserve.server.glossaries import Glossaries
    from hanjaserve.server.messages import options_from
    from hanjaserve.server.readings import READINGS, ReadingTable

    readings = ReadingTable.open(bundle) if bundle.has(READINGS) else None
    try:
        return options_from(options.to_proto(), bundle.manifest.styles, Glossaries(readings=readings))
    except HanjaserveError as error:
        raise CliError(str(error), FAILED) from error


def _contact(client: SyncClient) -> ServerInfo:
    try:
        info = client.server_info()
        return info if info.ready else client.wait_ready(WARM_UP_S)
    except (Unavailable, DeadlineExceeded) as error:
        raise no_server(client.target, error, otherwise=", or use --local") from error
    except ConvertError as error:
        raise CliError(f"server at {client.target}: {error}") from error


def _conversion(found: "LocalConversion") -> Conversion:
    spans = tuple(
        Span(
            start=span.start,
            end=span.end,
            hangul=span.hangul,
            hanja=span.hanja,
            score=span.score,
            alternatives=tuple(
                Alternative(hanja=other.hanja, score=other.score) for other in span.alternatives
            ),
            source=SpanSource(span.source.value),
        )
        for span in found.spans
    )
    return Conversion(text=found.text, spans=spans)


def _client_error(error: "HanjaserveError") -> ConvertError:
    from hanjaserve.server.errors import RequestError

    return InvalidRequest(str(error)) if isinstance(error, RequestError) else Internal(str(error))


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--target`, `--local` and `--bundle`."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--target",
        metavar="HOST:PORT",
        help=f"the server; default $HANJASERVE_TARGET, else {DEFAULT_TARGET}",
    )
    add_access_arguments(parser)
    where.add_argument("--local", action="store_true", help="convert in this process; needs no server")
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        type=Path,
        help="the model bundle of --local; default $HANJASERVE_BUNDLE, else the bundled one; "
        "$HANJASERVE_RUNNER pins what computes",
    )


def check_engine_arguments(arguments: argparse.Namespace) -> None:
    """See that the arguments go together.

    Raises:
        CliError: They don't.
    """
    if arguments.bundle and not arguments.local:
        raise CliError("--bundle needs --local: a server chooses its own", USAGE)


@contextmanager
def open_engine(arguments: argparse.Namespace) -> Iterator[Engine]:
    """Open the engine that the arguments ask for.

    Raises:
        CliError: No server answers, or the bundle does not open.
    """
    check_engine_arguments(arguments)
    if arguments.local:
        with _open_local(arguments.bundle) as local:
            yield LocalEngine(local)
    else:
        with open_client(arguments) as client:
            yield RemoteEngine(client)


def _open_local(bundle: Path | None) -> "LocalConverter":
    from hanjaserve.server.errors import HanjaserveError
    from hanjaserve.server.local import LocalConverter

    given = os.environ.get("HANJASERVE_BUNDLE")
    try:
        return LocalConverter.open(
            bundle or (Path(given) if given else None),
            runner=os.environ.get("HANJASERVE_RUNNER", "auto"),
        )
    except HanjaserveError as error:
        raise CliError(str(error), USAGE) from error
