"""Sums over processes, and over those that have ended."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from hanjaserve.server.processes.tally import Family, Tally, families_of


def process(calls: int, waiting: int = 0, *, ready: bool = True) -> list[Family]:
    registry = CollectorRegistry()
    counter = Counter("hanjaserve_requests", "Calls", ("code",), registry=registry)
    counter.labels("OK").inc(calls)
    Gauge("hanjaserve_queued_entries", "Entries", registry=registry).set(waiting)
    Gauge("hanjaserve_ready", "Ready", registry=registry).set(ready)
    return families_of(registry)


def shown(tally: Tally) -> dict[str, float]:
    return {s.name: s.value for family in tally.collect() for s in family.samples}


def test_counts_of_all_processes_and_of_the_dead() -> None:
    answers: dict[int, list[Family] | None] = {1: process(5, 2), 2: process(7, 1, ready=False)}
    tally = Tally(lambda: answers)
    found = shown(tally)
    assert found["hanjaserve_requests_total"] == 12
    assert found["hanjaserve_queued_entries"] == 3
    assert found["hanjaserve_ready"] == 1
    del answers[1]
    found = shown(tally)
    assert found["hanjaserve_requests_total"] == 12, "a counter must not run backwards"
    assert found["hanjaserve_queued_entries"] == 1, "who is dead has nothing waiting"
    assert found["hanjaserve_ready"] == 0
    answers[3] = process(1)
    del answers[2]
    assert shown(tally)["hanjaserve_requests_total"] == 13


def test_process_that_does_not_answer_counts_with_what_it_told_last() -> None:
    answers: dict[int, list[Family] | None] = {1: process(5), 2: None}
    tally = Tally(lambda: answers)
    assert shown(tally)["hanjaserve_requests_total"] == 5
    answers[1] = None
    assert shown(tally)["hanjaserve_requests_total"] == 5


def test_times_are_those_of_the_oldest() -> None:
    old, new = process(1), process(1)
    for family, second in ((old, 100.0), (new, 200.0)):
        for sample in family[0][3]:
            if sample[0].endswith("_created"):
                sample[2] = second
    assert shown(Tally(lambda: {1: old, 2: new}))["hanjaserve_requests_created"] == 100.0


def test_readiness_has_a_page_of_its_own() -> None:
    statuses: list[str] = []
    for ready in (True, False):
        tally = Tally(lambda ready=ready: {1: process(1, ready=ready)})  # type: ignore[misc]
        list(tally.application({"PATH_INFO": "/ready"}, lambda status, _: statuses.append(status)))  # type: ignore[arg-type,return-value]
    assert [status[:3] for status in statuses] == ["200", "503"]
