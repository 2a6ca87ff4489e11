"""The unanswered texts of a stream: what to send, what to expect, what to send again.

Pure: no I/O, no threads, no clock of its own. `aio.py` and `sync.py` drive it.

    texts -> add() -> [unsent] -> next_group() -> [sent] -> answer() -> results, in order
                          ^------------- restart() ----|

Memory is bounded because at most `max_in_flight` texts are unanswered: a driver adds no more than
there is `room` for. When a stream breaks, what was sent and not answered goes back to the unsent,
so every text is answered exactly once however often the stream breaks.
"""

from collections import deque
from itertools import count

from hanjaserve.client.errors import DeadlineExceeded, Internal, Unavailable
from hanjaserve.client.options import ConvertOptions
from hanjaserve.client.requests import Prepared, group_bytes, prepare
from hanjaserve.client.results import Limits, Result, result_from_proto
from hanjaserve.v1 import hanjaserve_pb2 as pb

# Enough texts per message that calls cost nothing, few enough that the first results come soon.
GROUP_ITEMS = 64


class StreamWindow:
    """The texts of one stream between the caller's input and the results."""

    def __init__(self, limits: Limits, options: ConvertOptions) -> None:
        self._limits = limits
        self._group_items = max(1, min(GROUP_ITEMS, limits.max_batch_items))
        self._group_bytes = group_bytes(limits, options)
        self._max_in_flight = max(1, limits.max_stream_in_flight)
        self._unsent: deque[tuple[int, Prepared]] = deque()
        self._sent: deque[tuple[int, Prepared]] = deque()
        self._ids = count()
        self._waiting_since: float | None = None

    @property
    def room(self) -> int:
        """How many texts may be added."""
        return self._max_in_flight - len(self._unsent) - len(self._sent)

    @property
    def unanswered(self) -> int:
        """How many texts have no result yet."""
        return len(self._unsent) + len(self._sent)

    @property
    def has_unsent(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._unsent)

    def add(self, text: str) -> None:
        """Append a text; only when there is `room`."""
        self._unsent.append((next(self._ids), prepare(text, self._limits)))

    def next_group(self, now: float) -> pb.StreamConvertRequest:
        """The next message: as many unsent texts as fit, without waiting for more."""
        items: list[pb.StreamItem] = []
        size = 0
        while self._unsent and len(items) < self._group_items:
            number, prepared = self._unsent[0]
            if items and size + prepared.size > self._group_bytes:
                break
            size += prepared.size
            items.append(pb.StreamItem(id=number, text=prepared.text))
            self._sent.append(self._unsent.popleft())
        if self._waiting_since is None:
            self._waiting_since = now
        return pb.StreamConvertRequest(items=pb.StreamItems(items=items))

    def answer(self, response: pb.StreamConvertResponse, now: float) -> list[Result]:
        """The results that a message brings.

        Raises:
            Internal: They are not those of the oldest texts that were sent.
        """
        results = []
        for answered in response.results:
            expected = self._sent[0][0] if self._sent else None
            if answered.id != expected:
                raise Internal(
                    f"the server answered item {answered.id} of a stream, not {expected}; "
                    "results must come in the order of the items"
                )
            _, prepared = self._sent.popleft()
            results.append(prepared.result(result_from_proto(answered)))
        self._waiting_since = now if self._sent else None
        return results

    def waiting_s(self, now: float) -> float:
        """How long the oldest text that was sent has been waiting since the last answer."""
        return 0.0 if self._waiting_since is None else now - self._waiting_since

    def restart(self) -> None:
        """Put what was sent and not answered back, in order, to be sent again."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
        self._waiting_since = None


def stalled(stall_s: float, unanswered: int) -> DeadlineExceeded:
    """The error for a server that owes answers and is silent."""
    return DeadlineExceeded(
        f"the server has been silent for {stall_s:g} s with {unanswered} texts unanswered; "
        "give it more time with timeout_s"
    )


def cut_short(unanswered: int) -> Unavailable:
    """The error for a server that ended a stream properly but too soon."""
    return Unavailable(f"the server ended the stream with {unanswered} texts unanswered")
