"""Whose turn it is among the flows of one class: start-time fair queueing.

A flow is what takes turns with others: the calls of a named caller, or of the connection of a nameless one.
Every entry gets a turn when it is put, and entries run in the order of their turns:

    turn = max(now, end of the flow's entry before it)      end = turn + length

where `now` is the turn of what runs at the moment. So the entries of a flow are strung out as if it had its
part of the server to itself, and who asks for little beside a flood is served with the next batch; a flow
that is alone gets all there is. (P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queuing, SIGCOMM 1996.)
"""

from dataclasses import dataclass

from hanjaserve.server.entry import Entry

FEW = 64
"""So many that are no longer needed are not worth a clean-up."""


@dataclass(slots=True)
class _Account:
    end: int
    tokens: int = 0  # that wait


class Turns:
    """The turns of the entries that wait. Their unit is a token."""

    def __init__(self) -> None:
        self._accounts: dict[object, _Account] = {}
        self._waiting = 0  # accounts of which something waits
        self._running: list[int] = []
        self._passed = 0

    @property
    def now(self) -> int:
        """The turn of what runs, or of what ran last."""
        return max(self._passed, min(self._running, default=0))

    def assign(self, entry: Entry) -> None:
        """Give an entry that is put its turn."""
        now = self.now
        account = self._accounts.get(entry.flow)
        entry.turn = max(now, account.end if account else now)
        self.restore(entry)

    def restore(self, entry: Entry) -> None:
        """An entry that has its turn waits, for the first time or again."""
        account = self._accounts.setdefault(entry.flow, _Account(0))
        self._waiting += not account.tokens
        account.end = max(account.end, entry.turn + entry.length)
        account.tokens += entry.length

    def leave(self, entry: Entry) -> None:
        """An entry waits no longer."""
        account = self._accounts[entry.flow]
        account.tokens -= entry.length
        self._waiting -= not account.tokens
        if not self._waiting:
            self._accounts.clear()

    def begin(self, turn: int) -> None:
        """Something begins to run: of several, the first turn counts."""
        self._running.append(turn)

    def take_back(self, turn: int) -> None:
        """It has not begun after all."""
        self._running.remove(turn)

    def finish(self, turn: int) -> None:
        """It has run. Who has had no more than what is due by now is as good as new."""
        self._running.remove(turn)
        self._passed = max(self._passed, turn)
        if len(self._accounts) > FEW + 2 * self._waiting:
            ahead = {flow: a for flow, a in self._accounts.items() if a.tokens or a.end > self._passed}
            self._accounts = ahead

    def tokens_before(self, flow: object, tokens: int, mean: float) -> float:
        """How many of the tokens that wait go before the last of a flow's next ones: no more than so many.

        Args:
            flow: Who would put them.
            tokens: How many.
            mean: Of the tokens of an entry; each of the other flows may be in the middle of one.
        """
        now = self.now
        own = self._accounts.get(flow, _Account(now))
        others = self._waiting - bool(own.tokens)
        return own.tokens + others * (max(0, own.end - now) + tokens + mean)
