"""Between protocol messages and the converter's own values; nothing but translation and checks."""

from collections.abc import Collection

from hanjaserve.server.converter import Conversion
from hanjaserve.server.errors import BadOption, HanjaserveError, InvalidText
from hanjaserve.server.options import DEFAULT_STYLE, Options, Rendering
from hanjaserve.server.status import status_of
from hanjaserve.v1 import hanjaserve_pb2 as pb

RENDERINGS = {
    pb.RENDERING_UNSPECIFIED: Rendering.HANJA,
    pb.RENDERING_HANJA: Rendering.HANJA,
    pb.RENDERING_HANGUL_HANJA: Rendering.HANGUL_HANJA,
    pb.RENDERING_HANJA_HANGUL: Rendering.HANJA_HANGUL,
    pb.RENDERING_RUBY: Rendering.RUBY,
}


def check_parsed(message: object) -> None:
    """Raise for a message that did not parse, which `listener.MalformedToNone` turns into None."""
    if message is None:
        raise InvalidText("the message is not valid protobuf, or a text in it is not valid UTF-8: send UTF-8")


def options_from(message: pb.ConvertOptions, styles: Collection[str]) -> Options:
    """Check the options of a call.

    Args:
        message: What the caller sent; unset fields mean the defaults.
        styles: The styles that the model knows.

    Raises:
        BadOption: Names the field, its value and what is allowed.
    """
    if message.rendering not in RENDERINGS:
        raise BadOption(
            "options.rendering",
            f"options.rendering is {message.rendering}: use a value of Rendering, "
            f"{min(RENDERINGS)} to {max(RENDERINGS)}",
        )
    options = Options(
        rendering=RENDERINGS[message.rendering],
        min_score=message.min_score,
        max_alternatives=message.max_alternatives,
        first_occurrence_only=message.first_occurrence_only,
        style=message.style or DEFAULT_STYLE,
        with_spans=message.with_spans,
    )
    try:
        options.validate(styles)
    except BadOption as error:
        raise BadOption(f"options.{error.field}", f"options.{error}") from None
    return options


def conversion_message(conversion: Conversion) -> pb.Conversion:
    """A conversion as a message; its spans are empty unless the options asked for them."""
    return pb.Conversion(
        text=conversion.text,
        spans=[
            pb.Span(
                start=span.start,
                end=span.end,
                hangul=span.hangul,
                hanja=span.hanja,
                score=span.score,
                alternatives=[
                    pb.Alternative(hanja=other.hanja, score=other.score) for other in span.alternatives
                ],
            )
            for span in conversion.spans
        ],
    )


def item_result(outcome: Conversion | HanjaserveError) -> pb.ItemResult:
    """What became of one text of a batch."""
    if isinstance(outcome, HanjaserveError):
        return pb.ItemResult(error=status_of(outcome))
    return pb.ItemResult(conversion=conversion_message(outcome))


def stream_result(item_id: int, outcome: Conversion | HanjaserveError) -> pb.StreamResult:
    """What became of one text of a stream."""
    if isinstance(outcome, HanjaserveError):
        return pb.StreamResult(id=item_id, error=status_of(outcome))
    conversion = conversion_message(outcome)
    return pb.StreamResult(id=item_id, conversion=conversion)
