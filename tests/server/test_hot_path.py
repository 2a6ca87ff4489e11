"""The vectorised path must equal the plain one, code point for code point and byte for byte."""

from collections.abc import Sequence
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanjaserve.server.assembly import Assembly
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, make_codec
from hanjaserve.server.codec.windows import (
    CLOSERS,
    ENDERS,
    HARD,
    NEWLINES,
    SPACES,
    STRONG,
    WEAK,
    WIDE_ENDERS,
    code_points_of,
    ranks_of,
)
from hanjaserve.server.converter import Conversion
from hanjaserve.server.errors import HanjaserveError, RuntimeFault
from hanjaserve.server.labels import KEEP, LabelTable
from hanjaserve.server.messages import StreamMessages, batch_response
from hanjaserve.server.options import Options
from hanjaserve.server.segment import Text, arrays_of, jobs
from hanjaserve.server.shapes import SCORE_BITS, Int32
from hanjaserve.server.words import Words
from hanjaserve.v1 import hanjaserve_pb2 as pb

# Hangul, Hanja, jamo, ASCII, controls, beyond the BMP, a lone surrogate.
LETTERS = st.sampled_from("대한민국의수도는서울이다 .!?\n\t\0aZ9漢ㄱ가힣\U0001f600\U00020000\ud800")
TEXTS = st.lists(st.text(LETTERS, max_size=90), max_size=12)
PLAIN = Options(with_spans=False)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def codec(bundle: Bundle) -> Codec:
    return make_codec(bundle)


def candidates_for(tokens: Int32, labels: int) -> Int32:
    """Any labels at all, also where there is no Hangul; the same for the same tokens."""
    chosen = (tokens.astype(np.int64)[:, None] * [7, 11, 13, 17] + np.arange(len(tokens))[:, None]) % labels
    return (chosen.astype(np.int32) << SCORE_BITS) | np.array([40000, 15000, 7000, 3000], np.int32)


def plain_conversion(codec: Codec, table: LabelTable, text: str) -> str:
    """One text, window by window and syllable by syllable."""
    letters = []
    for window in codec.iter_windows(text, "modern"):
        found = candidates_for(window.tokens, len(table.labels))
        for at in range(window.start, window.stop):
            label = int(found[window.row + at - window.start, 0]) >> SCORE_BITS
            hangul = "가" <= text[at] <= "힣"
            letters.append(table.labels[label] if hangul and label != KEEP else text[at])
    return "".join(letters)


def converted(codec: Codec, table: LabelTable, texts: Sequence[str], job_tokens: int) -> dict[int, str]:
    assembly = Assembly(codec, table, PLAIN, words=Words())
    results: dict[int, str] = {}
    for job in jobs(codec, starmap(Text, enumerate(texts)), PLAIN, job_tokens):
        outcomes = [candidates_for(array, len(table.labels)) for array in arrays_of(job)]
        for number, result in assembly.finish(job, outcomes):
            assert isinstance(result, Conversion)
            results[number] = result.text
    return results


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS)
def test_windows_of_a_batch_are_those_of_its_texts(codec: Codec, texts: list[str]) -> None:
    for text, windows in zip(texts, codec.encode(texts, "modern"), strict=True):
        alone = list(codec.iter_windows(text, "modern"))
        assert [w[1:4] for w in windows] == [w[1:4] for w in alone]
        for one, other in zip(windows, alone, strict=True):
            np.testing.assert_array_equal(one.tokens, other.tokens)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, job_tokens=st.integers(60, 400))
def test_batched_conversion_equals_the_plain_one(
    codec: Codec, bundle: Bundle, texts: list[str], job_tokens: int
) -> None:
    table = bundle.labels()
    found = converted(codec, table, texts, job_tokens)
    assert found == {number: plain_conversion(codec, table, text) for number, text in enumerate(texts)}


def plain_ranks(text: str) -> list[int]:
    """How good it is to cut before each code point, one after the other."""

    def is_in(at: int, members: Sequence[int]) -> bool:
        return 0 <= at < len(text) and ord(text[at]) in members

    found = []
    for at in range(len(text)):
        rank = HARD
        if is_in(at - 1, SPACES) and not is_in(at, SPACES):
            rank = WEAK
            ended = is_in(at - 2, ENDERS) or (is_in(at - 2, CLOSERS) and is_in(at - 3, ENDERS))
            rank = STRONG if ended else rank
        follows = is_in(at, ENDERS) or is_in(at, CLOSERS)
        if is_in(at - 1, NEWLINES) or (is_in(at - 1, WIDE_ENDERS) and not follows):
            rank = STRONG
        found.append(rank)
    return found


@given(st.text(st.sampled_from("가나 a.!?…。！\n\u3000\"’）\uffff\U0001f600"), max_size=30))
def test_ranks_equal_the_plain_ones(text: str) -> None:
    assert ranks_of(code_points_of(text)).tolist() == plain_ranks(text)


def test_fault_of_one_text_leaves_the_others_as_they_are(codec: Codec, bundle: Bundle) -> None:
    table = bundle.labels()
    texts = ["대한민국", "수도", "서울이다"]
    (job,) = jobs(codec, starmap(Text, enumerate(texts)), PLAIN)
    outcomes: list[Int32 | HanjaserveError] = [
        candidates_for(array, len(table.labels)) for array in arrays_of(job)
    ]
    outcomes[1] = RuntimeFault("poisoned")
    results = dict(Assembly(codec, table, PLAIN, words=Words()).finish(job, outcomes))
    assert results[1] is outcomes[1]
    for number in (0, 2):
        assert results[number] == Conversion(text=plain_conversion(codec, table, texts[number]))


def test_messages_equal_those_built_field_by_field() -> None:
    outcomes = [Conversion(text="大韓民國"), RuntimeFault("poisoned"), Conversion(text="")]
    response = batch_response(outcomes)
    assert [r.WhichOneof("outcome") for r in response.results] == ["conversion", "error", "conversion"]
    assert response.results[0] == pb.ItemResult(conversion=pb.Conversion(text="大韓民國"))
    assert response.results[1].error.message == "poisoned"


def test_stream_messages_are_cut_at_their_size_and_keep_the_order() -> None:
    messages = StreamMessages(message_bytes=64)
    for number in range(20):
        messages.add(number, Conversion(text="x" * (200 if number == 7 else 10)))
    assert [r.id for message in messages.finished for r in message.results] == list(range(20))
    assert messages.items == 20
    assert all(len(message.results) == 1 or message.ByteSize() < 400 for message in messages.finished)
    assert len(messages.finished) >= 5
