"""Requests fit the limits of the server, and so do the answers they bring."""

import pytest

from hanjaserve.client import ConvertOptions, Limits
from hanjaserve.client.requests import batch_request, group_bytes, prepare, split_batch
from hanjaserve.v1 import hanjaserve_pb2 as pb

LIMITS = Limits(
    max_text_code_points=10**6, max_batch_items=100, max_message_bytes=100_000, max_stream_in_flight=100
)


@pytest.mark.parametrize(
    "options",
    [
        ConvertOptions(),
        ConvertOptions(rendering="ruby"),
        ConvertOptions(with_spans=True),
        ConvertOptions(rendering="ruby", max_alternatives=8),
    ],
)
def test_the_worst_answer_fits(options: ConvertOptions) -> None:
    ruby = options.rendering == "ruby"
    word = "<ruby>都<rp>(</rp><rt>도</rt><rp>)</rp></ruby>" if ruby else "都"
    others = [pb.Alternative(hanja="道", score=0.1)] * options.max_alternatives
    spans = options.with_spans or options.max_alternatives
    syllables = group_bytes(LIMITS, options) // 3
    conversion = pb.Conversion(
        text=word * syllables,
        spans=[
            pb.Span(start=n + 2**14, end=n + 2**14, hangul="도", hanja="都", score=0.9, alternatives=others)
            for n in range(syllables if spans else 0)
        ],
    )
    response = pb.BatchConvertResponse(results=[pb.ItemResult(conversion=conversion)])
    assert response.ByteSize() <= LIMITS.max_message_bytes


@pytest.mark.parametrize("length", [0, 1, 50, 3000, 12000, 30000])
def test_parts_fit_and_hold_everything(length: int) -> None:
    options = ConvertOptions()
    texts = [prepare(f"{n}" + "가" * length, LIMITS) for n in range(250)]
    parts = list(split_batch(texts, LIMITS, options))
    assert [text for part in parts for text in part] == texts
    assert all(0 < len(part) <= LIMITS.max_batch_items for part in parts)
    for part in parts:
        assert batch_request(part, options).ByteSize() <= LIMITS.max_message_bytes


def test_no_texts_no_parts() -> None:
    assert list(split_batch([], LIMITS, ConvertOptions())) == []
