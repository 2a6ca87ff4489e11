"""Building requests: what is sent, and how many texts go into one message."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hanjaserve.client.errors import FieldViolation, Internal, InvalidRequest, TextTooLong
from hanjaserve.client.options import ConvertOptions, Rendering
from hanjaserve.client.results import ItemError, Limits, Result, result_from_proto
from hanjaserve.v1 import hanjaserve_pb2 as pb

# Bytes of a message that are not text: the options, and tag, length and id of every item.
MESSAGE_OVERHEAD, ITEM_OVERHEAD = 256, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A text ready to be sent.

    Attributes:
        text: What is sent. An empty text stands in for one that cannot be sent.
        size: Its bytes in a message.
        error: Why the text itself cannot be sent; overrides the server's answer.
    """

    text: str
    size: int
    error: ItemError | None = None

    def result(self, answer: Result) -> Result:
        """What the caller gets."""
        return self.error or answer


def check_text(text: str) -> int:
    """Bytes of a text in UTF-8.

    Raises:
        InvalidRequest: It is not a str, or holds a lone surrogate and hence has no UTF-8 form.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"a text must be a str, not {type(text).__name__}")
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        description = (
            f"has a lone surrogate U+{ord(text[error.start]):04X} at code point {error.start}; "
            "remove it, or decode the source with errors='replace'"
        )
        violation = FieldViolation(field="text", description=description)
        raise InvalidRequest(f"text {description}", field_violations=(violation,)) from None


def prepare(text: str, limits: Limits) -> Prepared:
    """Make a text ready for a message with others, so that a bad one cannot spoil them."""
    try:
        size = check_text(text) + ITEM_OVERHEAD
    except InvalidRequest as error:
        return Prepared(text="", size=ITEM_OVERHEAD, error=ItemError(error=error))
    if size + MESSAGE_OVERHEAD > limits.max_message_bytes:
        too_long = TextTooLong(
            f"text has {size - ITEM_OVERHEAD:,} bytes, more than a message of this server may have "
            f"({limits.max_message_bytes:,}); split it"
        )
        return Prepared(text="", size=ITEM_OVERHEAD, error=ItemError(error=too_long))
    return Prepared(text=text, size=size)


def group_bytes(limits: Limits, options: ConvertOptions) -> int:
    """Bytes of text after which a message is full, so that its answer fits into the limit as well.

    Worst case: every syllable, 3 bytes, is a word of its own. It may bring ruby markup (58 bytes), a
    span (34) and alternatives (12 each).
    """
    growth = 3
    if options.rendering == Rendering.RUBY:
        growth += 20
    if options.with_spans or options.max_alternatives:
        growth += 12 + 4 * options.max_alternatives
    return max(1, limits.max_message_bytes // growth - MESSAGE_OVERHEAD)


def split_batch(
    texts: Sequence[Prepared], limits: Limits, options: ConvertOptions
) -> Iterator[Sequence[Prepared]]:
    """Cut a batch into parts that the server accepts."""
    first = size = 0
    most = group_bytes(limits, options)
    for index, text in enumerate(texts):
        full = index - first >= limits.max_batch_items
        if index > first and (full or size + text.size > most):
            yield texts[first:index]
            first, size = index, 0
        size += text.size
    if first < len(texts):
        yield texts[first:]


def convert_request(text: str, options: ConvertOptions) -> pb.ConvertRequest:
    """The request for one text.

    Raises:
        InvalidRequest: The text has no UTF-8 form.
    """
    check_text(text)
    return pb.ConvertRequest(text=text, options=options.to_proto())


def batch_request(texts: Sequence[Prepared], options: ConvertOptions) -> pb.BatchConvertRequest:
    """The request for a part of a batch."""
    return pb.BatchConvertRequest(texts=[prepared.text for prepared in texts], options=options.to_proto())


def batch_results(texts: Sequence[Prepared], response: pb.BatchConvertResponse) -> list[Result]:
    """The results of a part of a batch, in order.

    Raises:
        Internal: There are more or fewer than texts.
    """
    if len(response.results) != len(texts):
        raise Internal(f"the server sent {len(response.results)} results for {len(texts)} texts")
    answers = map(result_from_proto, response.results)
    return [prepared.result(answer) for prepared, answer in zip(texts, answers, strict=True)]


def code_points(texts: Sequence[Prepared]) -> int:
    """How much text that is."""
    return sum(len(prepared.text) for prepared in texts)


def stream_config(options: ConvertOptions) -> pb.StreamConvertRequest:
    """The first message of a stream."""
    return pb.StreamConvertRequest(config=pb.StreamConfig(options=options.to_proto()))
