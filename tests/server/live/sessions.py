"""A session without a connection, a converter that stands in for the real one, and messages for both.

The converter's result depends on every character of a segment and of its context, so that a result made from
anything else is noticed. A text with a half-composed ㅅ can't be converted.
"""

from hanjaserve.server.assembly import Conversion
from hanjaserve.server.errors import HanjaserveError, RuntimeFault
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.live.conversions import Turn
from hanjaserve.server.live.session import LiveSession
from hanjaserve.server.live.settings import LiveBounds, LiveBudget, LiveSettings
from hanjaserve.server.spans import Span
from hanjaserve.v1 import hanjaserve_pb2 as pb

BOUNDS = LiveBounds(code_points=20_000)
UNCONVERTIBLE = "ㅅ"


def converted(context: str, text: str) -> str:
    return text if UNCONVERTIBLE in text else f"<{context}|{text}>"


def outcomes(turn: Turn) -> list[Conversion | HanjaserveError]:
    found: list[Conversion | HanjaserveError] = []
    for item in turn.items:
        context, text = item.text[: item.skip], item.text[item.skip :]
        if UNCONVERTIBLE in text:
            found.append(RuntimeFault("the runner failed on this text"))
            continue
        span = Span(start=0, end=len(text), hangul=text, hanja="", score=0.5)
        found.append(Conversion(text=converted(context, text), spans=(span,)))
    return found


def opened(
    config: pb.LiveConfig, budget: LiveBudget | None = None, bounds: LiveBounds = BOUNDS
) -> LiveSession:
    found = LiveSettings.read(config, bounds, ["modern"], Glossaries())
    return LiveSession(found, bounds, budget or LiveBudget(10**9), name="session", model_revision="abc")


def edit(revision: int, start: int, end: int, text: str) -> pb.LiveRequest:
    splices = [pb.Splice(start=start, end=end, text=text)]
    return pb.LiveRequest(edit=pb.LiveEdit(revision=revision, splices=splices))


def splices(revision: int, count: int) -> pb.LiveRequest:
    return pb.LiveRequest(edit=pb.LiveEdit(revision=revision, splices=[pb.Splice()] * count))


def replace(revision: int, text: str) -> pb.LiveRequest:
    return pb.LiveRequest(replace=pb.LiveReplace(revision=revision, text=text))


def commit(revision: int) -> pb.LiveRequest:
    return pb.LiveRequest(commit=pb.LiveCommit(revision=revision))
