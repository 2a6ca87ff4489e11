"""Readers and workers on Ray Data: parts flow from those to these, and only reports come back.

    files -> read (a task per file) -> parts -> convert and write (actors, one model each) -> reports

Ray brings the queue between them, which holds readers back while workers are busy, and starts a worker
anew that has died, with the part that it had. On a cluster, every machine needs the files under the same
names, and this package.
"""

import pickle
import warnings
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Sequence
from typing import Any

from hanjaserve.cli.bulk.cluster import joined
from hanjaserve.cli.bulk.parts import PartConverter, Report, Task, read_parts
from hanjaserve.cli.bulk.sources import Source
from hanjaserve.cli.interruption import Leftovers

Row = dict[str, Any]
TRIES = 3
"""A part that takes its worker down so often would take down all of them."""


def reports(
    task: Task,
    sources: Sequence[Source],
    finished: Collection[str],
    leftovers: Leftovers,
    *,
    workers: int | None,
    address: str | None,
) -> Generator[Report, None, None]:
    """Convert all parts but the finished ones, and yield their reports as they come.

    Args:
        task: What they have in common.
        sources: The files.
        finished: Names of parts.
        leftovers: Has Ray shut down, should a signal end the process meanwhile.
        workers: How many processes convert; None for one per core.
        address: That of a Ray cluster; None for this machine alone.

    Raises:
        CliError: Ray can't go on.
    """
    with joined(workers, address, leftovers) as count:
        for row in _converted(task, _rows(sources, finished), count).iter_rows():
            yield pickle.loads(row["report"])


def read(row: Row, task: Task) -> Iterator[Row]:
    """Read a file, as Ray calls it: a row is a source in, and a part out."""
    source, finished = pickle.loads(row["source"])
    for part in read_parts(source, task, finished):
        yield {"part": pickle.dumps(part)}


class Worker:
    """Converts parts, as Ray calls it: a row is a part in, and a report out."""

    def __init__(self, task: Task) -> None:
        self._converter = PartConverter(task)

    def __call__(self, row: Row) -> Row:
        """Convert and write a part."""
        report = self._converter.finish(pickle.loads(row["part"]))
        return {"report": pickle.dumps(report)}


def _rows(sources: Sequence[Source], finished: Collection[str]) -> list[Row]:
    """Each file, with its parts that are finished."""
    of_stem: dict[str, set[str]] = defaultdict(set)
    for name in finished:
        of_stem[name.rpartition("-")[0]].add(name)
    return [{"source": pickle.dumps((source, of_stem[source.stem]))} for source in sources]


def _converted(task: Task, rows: list[Row], workers: int) -> Any:
    import ray.data

    # Every part is a block of its own, so that the next free worker gets it.
    ray.data.DataContext.get_current().target_max_block_size = 1
    files = ray.data.from_items(rows, override_num_blocks=len(rows))
    parts = files.flat_map(read, fn_kwargs={"task": task}, num_cpus=1)
    with warnings.catch_warnings():
        # Ray 2.64 will want the number of tries said in another way, which 2.60 does not know yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        return parts.map(
            Worker,
            fn_constructor_args=(task,),
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            max_task_retries=TRIES - 1,
        )
