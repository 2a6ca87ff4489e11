"""Conversion in this very process: no server, no event loop, no threads but the runner's.

Used by `hanjaserve convert --local`, `hanjaserve evaluate` and the parity check. Texts of any number
go through in bounded memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType

from hanjaserve.server.assembly import Assembly, Conversion
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, make_codec
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.options import Options
from hanjaserve.server.runners.abreast import Abreast
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.segment import Text, arrays_of, jobs
from hanjaserve.server.shapes import Int32, pad, padded_length
from hanjaserve.server.words import Words

BATCH_TOKENS = 512
"""Tokens of one batch, padding included; a core is hardly faster with more, and there are several."""


class LocalConverter:
    """Converts texts with one bundle and one runner. A context manager; for one thread.

    Attributes:
        bundle: What it converts with.
        runner_name: What computes.
        skipped: Which runners were tried first, and why they don't serve.

    Example:
        with LocalConverter.open() as converter:
            converter.convert("대한민국의 수도").text  # 大韓民國의 首都
    """

    def __init__(self, bundle: Bundle, codec: Codec, runner: Runner, *, skipped: Sequence[str] = ()) -> None:
        self.bundle = bundle
        self.runner_name = runner.name
        self.skipped = tuple(skipped)
        self._labels = bundle.labels()
        self._words = Words.open(bundle)
        self._codec = codec
        self._runner = runner
        self._abreast = Abreast(runner)

    @classmethod
    def open(
        cls,
        bundle_path: Path | str | None = None,
        threads: int | None = None,
        *,
        runner: str = "auto",
    ) -> "LocalConverter":
        """Open a bundle and the best runner for it.

        Args:
            bundle_path: Its folder; by default the bundle that comes along.
            threads: Batches at a time on a CPU, a thread each; by default one per core.
            runner: "auto", or the name of one.

        Raises:
            BundleError: The bundle is missing or damaged.
            ConfigError: There is no such runner.
            RuntimeFault: No runner can serve it.
        """
        if bundle_path is None:
            from hanjaserve.models import default_bundle_path

            bundle_path = default_bundle_path()
        bundle = Bundle.open(bundle_path)
        codec = make_codec(bundle)
        opened, skipped = open_runner(bundle, runner, threads or 0)
        return cls(bundle, codec, opened, skipped=skipped)

    def __enter__(self) -> "LocalConverter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the runner back."""
        self._abreast.close()
        self._runner.close()

    def convert(self, text: str, options: Options | None = None) -> Conversion:
        """Convert one text; see `convert_iter`."""
        (result,) = self.convert_iter([text], options)
        return result

    def convert_batch(self, texts: Sequence[str], options: Options | None = None) -> list[Conversion]:
        """Convert texts; see `convert_iter`."""
        return list(self.convert_iter(texts, options))

    def convert_iter(self, texts: Iterable[str], options: Options | None = None) -> Iterator[Conversion]:
        """Convert any number of texts of any length, in order.

        Args:
            texts: Taken as needed, some thousand code points ahead of the results.
            options: How; None for the defaults.

        Raises:
            BadOption: An option has a value that it can't have.
            RuntimeFault: The runner failed.
        """
        options = options or Options()
        options.validate(self.bundle.manifest.styles)
        assembly = Assembly(self._codec, self._labels, options, words=self._words)
        for job in jobs(self._codec, map(Text, count(), texts), options):
            for _, result in assembly.finish(job, self._run(arrays_of(job))):
                if isinstance(result, HanjaserveError):
                    raise result
                yield result

    def _run(self, arrays: Sequence[Int32]) -> list[Int32]:
        """Run encodings in batches of similar length: candidates int32 [tokens, k] of each."""
        batches = list(_batches(arrays))
        padded = (pad([arrays[i] for i in batch], self.bundle.manifest.pad_id) for batch in batches)
        outputs: dict[int, Int32] = {}
        for batch, candidates in zip(batches, self._abreast.run(padded), strict=True):
            for i, found in zip(batch, candidates, strict=True):
                outputs[i] = found[: len(arrays[i])]
        return [outputs[i] for i in range(len(arrays))]


def _batches(arrays: Sequence[Int32]) -> Iterator[list[int]]:
    """Numbers of the arrays that run together, shortest first."""
    batch: list[int] = []
    for i in sorted(range(len(arrays)), key=lambda i: len(arrays[i])):
        if batch and (len(batch) + 1) * padded_length(len(arrays[i])) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
