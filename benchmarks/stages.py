"""What each stage of the front-end costs per text, without a runner: `python -m benchmarks.stages`.

    parse      a message of 64 texts from the wire
    convert    encoding, decoding, choosing words: the converter, with candidates that are at hand
    schedule   the queue, batches, padding, the hand-over to a thread and back: the pool with a null runner,
               and as much in its queue as a busy stream brings along
    answer     the message with the results, and its bytes

"convert" and "answer" are measured again with spans, for which the dictionary is looked up.

The candidates are those that the real runner gives for the same texts, computed beforehand. The least of
many runs counts, since whatever else the machine does can only add.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.texts import load_mix
from hanjaserve.models import default_bundle_path
from hanjaserve.server.batcher import Batcher, Priority
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, make_codec
from hanjaserve.server.converter import Conversion, Converter
from hanjaserve.server.messages import StreamMessages
from hanjaserve.server.options import DEFAULT_STYLE, Options
from hanjaserve.server.pool import Pool
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.shapes import Int32, pad
from hanjaserve.v1 import hanjaserve_pb2 as pb

TEXTS, RUNS = 64, 200
UNDER_WAY = 1024
"""Texts of one stream that the server takes before it answers."""
MESSAGE_BYTES = 256 * 1024
BATCH_TOKENS = 8192  # as for a GPU, where the front-end is what may be too slow
PLAIN, SPANS = Options(with_spans=False), Options(with_spans=True)


class NullRunner:
    """Gives the same candidates for everything, at once."""

    name = "null"

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`: every best label is KEEP, and certain."""
        output = np.zeros((*tokens.shape, self._top_k), dtype=np.int32)
        output[..., 0] = 0xFFFF
        return output

    def close(self) -> None:
        """See `Runner.close`."""


class KnownEngine:
    """Knows the candidates of some texts, which are asked for in their order; see `converter.Engine`."""

    def __init__(self, runner: Runner, codec: Codec, texts: Sequence[str], pad_id: int) -> None:
        self._known: list[Int32] = []
        for windows in codec.encode(texts, DEFAULT_STYLE):
            for window in windows:
                found = runner.run(pad([window.tokens], pad_id))[0]
                self._known.append(found[: len(window.tokens)])

    async def run_each(
        self, tokens_list: Sequence[Int32], *, priority: Priority, deadline: float | None
    ) -> list[Int32]:
        """See `Engine.run_each`."""
        assert len(tokens_list) == len(self._known)
        return self._known


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    arguments = parser.parse_args(argv)
    texts = load_mix().texts[:TEXTS]
    stages = asyncio.run(measure(Bundle.open(arguments.bundle), texts))
    with_spans = {name: stages.pop(f"{name}, spans") for name in ("convert", "answer")}
    with_spans["all"] = round(sum({**stages, **with_spans}.values()), 2)
    stages["all"] = round(sum(stages.values()), 2)
    for title, costs in (("", stages), (", with spans", with_spans)):
        for name, cost in costs.items():
            print(f"{name + title:24}{cost:8.2f} µs per text")
    result = {
        "kind": "stages",
        "environment": report.environment(),
        "texts": len(texts),
        "mean_code_points": round(sum(map(len, texts)) / len(texts), 1),
        "us_per_text": stages,
        "us_per_text_with_spans": with_spans,
    }
    results = Path(__file__).parent / "results"
    path = arguments.out or results / f"stages-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


async def measure(bundle: Bundle, texts: Sequence[str]) -> dict[str, float]:
    """Microseconds per text of each stage."""
    manifest, codec = bundle.manifest, make_codec(bundle)
    runner, _ = open_runner(bundle)
    try:
        engine = KnownEngine(runner, codec, texts, manifest.pad_id)
    finally:
        runner.close()
    converter = Converter(bundle, codec, engine)  # type: ignore[arg-type]
    plain, spans = [await _converted(converter, texts, options) for options in (PLAIN, SPANS)]
    wire = _request(texts).SerializeToString()
    queued = list(texts) * (UNDER_WAY // len(texts))
    arrays = [window.tokens for windows in codec.encode(queued, DEFAULT_STYLE) for window in windows]
    batcher = Batcher(max_batch_tokens=BATCH_TOKENS, max_queue_tokens=10**7)
    async with Pool([NullRunner(manifest.top_k)], batcher, pad_id=manifest.pad_id) as pool:
        return {
            "parse": _least(lambda: _parsed(wire), len(texts)),
            "convert": await _least_async(lambda: converter.convert_batch(texts, PLAIN), len(texts)),
            "schedule": await _least_async(lambda: pool.run_each(arrays, priority=Priority.BULK), UNDER_WAY),
            "answer": _least(lambda: _answered(plain), len(texts)),
            "convert, spans": await _least_async(lambda: converter.convert_batch(texts, SPANS), len(texts)),
            "answer, spans": _least(lambda: _answered(spans), len(texts)),
        }


async def _converted(converter: Converter, texts: Sequence[str], options: Options) -> list[Conversion]:
    outcomes = await converter.convert_batch(texts, options)
    return [outcome for outcome in outcomes if isinstance(outcome, Conversion)]


def _request(texts: Sequence[str]) -> pb.StreamConvertRequest:
    items = [pb.StreamItem(id=number, text=text) for number, text in enumerate(texts)]
    return pb.StreamConvertRequest(items=pb.StreamItems(items=items))


def _parsed(wire: bytes) -> tuple[list[str], list[int]]:
    items = pb.StreamConvertRequest.FromString(wire).items.items
    return [item.text for item in items], [item.id for item in items]


def _answered(conversions: Sequence[Conversion]) -> list[bytes]:
    messages = StreamMessages(MESSAGE_BYTES)
    for number, conversion in enumerate(conversions):
        messages.add(number, conversion)
    return [message.SerializeToString() for message in messages.finished]


def _least(run: Callable[[], object], texts: int) -> float:
    """Microseconds per text of the quickest run."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return round(1e6 * min(times) / texts, 2)


async def _least_async(run: Callable[[], object], texts: int) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        await run()  # type: ignore[misc]
        times.append(time.perf_counter() - started)
    return round(1e6 * min(times) / texts, 2)


if __name__ == "__main__":
    sys.exit(main())
