"""Does each test fail when its guard is gone? `python -m tests.chaos.guards [WORD]`

Copies the repository, and for one guard at a time runs the test that should notice: it must pass, and with
the guard broken it must fail. Prints a line per guard, and ends with 1 if any is not as it should be.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = "server/hanjaserve/server"
FOLDERS = ("protos", "server", "build_engine", "clients", "models", "tests", "deploy", "benchmarks")
LEFT_OUT = ("__pycache__", "node_modules", ".venv")
NOTICED = "noticed"
SKIPPED = -1
LIMIT_S = 240
# A test that hangs has noticed; it should not take long to say so.
PYTEST = ("-x", "-p", "no:cacheprovider", "--timeout", "45")


@dataclass(frozen=True)
class Guard:
    """One guard: where it stands, what is put in its place, which test must notice."""

    row: str
    file: str
    code: str
    broken: str
    test: str
    also: tuple[str, str] | None = None  # a second guard for the same, to be broken with it


G = Guard
CHAOS = "tests/chaos"
GUARDS = (
    G("deadline while running", f"{SERVER}/pool.py", "async with asyncio.timeout(left):",
      "async with asyncio.timeout(None):", "tests/server/test_pool.py -k deadline_while_running"),
    G("deadline while queued", f"{SERVER}/pool.py", "        self._expire()\n", "",
      f"{CHAOS}/test_callers.py -k queued_is_not_computed",
      ("                self._batcher.cancel(entry)\n", "                pass\n")),
    G("cancelled call leaves the queue", f"{SERVER}/pool.py",
      "                self._batcher.cancel(entry)\n", "                pass\n",
      "tests/server/test_pool.py -k cancelled_call_frees"),
    G("slots come back", f"{SERVER}/guard.py", "context.add_done_callback(lambda _: callers.leave(name))",
      "pass", "tests/server/test_guard.py -k share_is_held"),
    G("half-open connection", f"{SERVER}/listener.py",
      '        "grpc.http2.ping_timeout_ms": int(1000 * config.keepalive_s / 3),\n', "",
      f"{CHAOS}/test_callers.py -k freezes"),
    G("slow reader", f"{SERVER}/patience.py", "asyncio.timeout(self._reading_s)", "asyncio.timeout(None)",
      f"{CHAOS}/test_callers.py -k slow_reader"),
    G("queue full", f"{SERVER}/batcher.py", "if over > 0:", "if False:",
      f"{CHAOS}/test_callers.py -k full_queue"),
    G("connections limited", f"{SERVER}/listener.py",
      '        "grpc.max_allowed_incoming_connections": config.max_connections,\n', "",
      f"{CHAOS}/test_callers.py -k connections_are_limited"),
    G("SIGTERM under load", f"{SERVER}/front.py",
      "        await asyncio.wait_for(gate.idle(), config.grace_s / 2)\n    gate.end",
      "        pass\n    gate.end", f"{CHAOS}/test_process.py -k end_under_load",
      ("        await asyncio.wait_for(gate.idle(), config.grace_s / 2)\n    except",
       "        pass\n    except")),
    G("hanging up at the end", f"{SERVER}/front.py", "    listener.hang_up()\n", "",
      f"{CHAOS}/test_process.py -k go_on_calling"),
    G("runner hangs", f"{SERVER}/crew.py", 'self.dismiss(worker, "hang")', "pass",
      f"{CHAOS}/test_runner_faults.py -k hang"),
    G("runner throws", f"{SERVER}/worker.py", "            if not trusted:\n", "            if False:\n",
      "tests/server/test_crew.py -k throw"),
    G("NaN", f"{SERVER}/worker.py", "((output[..., 0] & SCORE_ONE) == 0)) or np.any(output < 0)",
      "False)", "tests/server/test_crew.py -k nan"),
    G("wrong rows", f"{SERVER}/worker.py", "if self._clock() - self._checked_at >= self._check_every_s:",
      "if False:", f"{CHAOS}/test_runner_faults.py -k rows"),
    G("wrong size", f"{SERVER}/worker.py", "if output.shape != wanted or output.dtype != np.int32:",
      "if False:", "tests/server/test_crew.py -k 'size or type'"),
    G("next in the ladder", f"{SERVER}/runners/succession.py", "self._failed.add(self._current)", "pass",
      f"{CHAOS}/test_runner_faults.py -k throw"),
    G("work of a lost runner", f"{SERVER}/pool.py",
      "self._batcher.take_back(replace(work.batch, entries=entries))", "pass",
      "tests/server/test_crew.py -k left_behind"),
    G("what brings two runners down", f"{SERVER}/pool.py", "if entry in self._suspects:", "if False:",
      "tests/server/test_crew.py -k two_runners"),
    G("no runner left", f"{SERVER}/crew.py", "                self.dead.set()\n", "                pass\n",
      f"{CHAOS}/test_runner_faults.py -k no_runner"),
    G("poisoned item", f"{SERVER}/worker.py", "if len(arrays) == 1:", "if True:",
      f"{CHAOS}/test_runner_faults.py -k poisoned"),
    G("damaged file", f"{SERVER}/bundle.py", "if digest != entry.sha256:", "if False:",
      f"{CHAOS}/test_process.py -k one_bit"),
    G("truncated or missing file", f"{SERVER}/bundle.py", "_check_file(root / name, entry)\n", "pass\n",
      "tests/e2e/test_lifecycle.py -k damaged_bundle"),
    G("bad bundle at reload", f"{SERVER}/models.py", "        except HanjaserveError as error:",
      "        except ZeroDivisionError as error:", f"{CHAOS}/test_models.py -k truncated"),
    G("self-test at reload", f"{SERVER}/runners/ladder.py", "        check_runner(runner, bundle)\n",
      "        pass\n", f"{CHAOS}/test_models.py -k wrong"),
    G("old model finishes first", f"{SERVER}/models.py", "while model.users:", "while False:",
      "tests/server/test_models.py -k finishes"),
    G("answers that nobody reads", f"{SERVER}/guard.py",
      "context.add_done_callback(lambda _: callers.leave(name))", "pass",
      f"{CHAOS}/test_http2.py -k nobody_reads",
      ("            seconds = time.perf_counter() - started\n",
       "            self._callers.leave(CALLER.get())\n            seconds = 0.0\n")),
    G("large headers", f"{SERVER}/listener.py",
      '"grpc.absolute_max_metadata_size": config.max_metadata_bytes',
      '"grpc.absolute_max_metadata_size": 2**30', f"{CHAOS}/test_http2.py -k large_headers",
      ('"grpc.max_metadata_size": config.max_metadata_bytes', '"grpc.max_metadata_size": 2**30')),
    G("settings acknowledged", f"{SERVER}/listener.py",
      '        "grpc.http2.settings_timeout": int(1000 * config.handshake_s),\n', "",
      f"{CHAOS}/test_http2.py -k ignores_our_settings"),
    G("ping flood", f"{SERVER}/listener.py", '"grpc.http2.max_ping_strikes": 3',
      '"grpc.http2.max_ping_strikes": 0', f"{CHAOS}/test_http2.py -k ping_flood"),
    G("wall clock", f"{SERVER}/gate.py", "else time.monotonic() + remaining", "else time.time() + remaining",
      f"{CHAOS}/test_process.py -k wall_clock"),
    G("live session ends", f"{SERVER}/live/stream.py", "                    with suppress(TimeoutError):\n",
      "                    with suppress(TimeoutError, asyncio.CancelledError):\n",
      "tests/server/live/test_stream.py -k whatever_moment"),
    G("calls without a message", f"{SERVER}/guard.py", "asyncio.timeout(patience.request_s)",
      "asyncio.timeout(None)", f"{CHAOS}/test_http2.py -k idle_calls"),
    G("slow handshake", f"{SERVER}/listener.py",
      '        "grpc.server_handshake_timeout_ms": int(1000 * config.handshake_s),\n', "",
      f"{CHAOS}/test_http2.py -k slow_handshake",
      # Without TLS, whoever does not introduce himself has not acknowledged anything either.
      ('        "grpc.http2.settings_timeout": int(1000 * config.handshake_s),\n', "")),
    G("calls at random cancelled", f"{SERVER}/listener.py", "MAX_PENDING = 20_000", "MAX_PENDING = 100",
      f"{CHAOS}/test_http2.py -k idle_calls"),
    G("watcher that does not read", f"{SERVER}/listener.py",
      "await asyncio.wait_for(change, HEALTH_S)", "await change", f"{CHAOS}/test_http2.py -k watcher"),
    G("unknown exception", f"{SERVER}/status.py",
      "    if not isinstance(error, HanjaserveError):\n        return",
      "    if False:\n        return", "tests/server/test_guard.py -k unknown_exception"),
    G("text in a log", f"{SERVER}/gate.py", '            "items": call.items,',
      '            "items": call.items, "text": "비밀갈매기수도",', f"{CHAOS}/test_privacy.py"),
    G("malformed message", f"{SERVER}/guard.py", "        except DecodeError:\n",
      "        except ZeroDivisionError:\n", f"{CHAOS}/test_fuzz.py -k 'no_message and Convert'"),
    G("token", f"{SERVER}/guard.py", "        if caller is None:\n            raise Unauthenticated",
      "        if False:\n            raise Unauthenticated",
      "tests/server/test_guard.py -k without_a_token"),
    G("right", f"{SERVER}/guard.py", "if need not in caller.rights and need is not Open.KNOWN:", "if False:",
      "tests/server/test_guard.py -k has_the_right"),
    G("undecided method is shut", f"{SERVER}/guard.py", "        if need is None:\n", "        if False:\n",
      "tests/server/test_guard.py -k decided_about"),
    G("stranger's message is not read", f"{SERVER}/guard.py", "grpc.stream_unary_rpc_method_handler",
      "grpc.unary_unary_rpc_method_handler", "tests/server/test_guard.py -k stranger"),
    G("public address without TLS", f"{SERVER}/exposure.py",
      "if not config.tls_cert and not config.allow_plaintext:", "if False:",
      "tests/server/test_exposure.py"),
    G("constant time", f"{SERVER}/tokens.py", "hmac.compare_digest(entry.digest, digest)",
      "entry.digest == digest", "tests/server/test_tokens.py -k every_hash"),
    G("certificates renewed", f"{SERVER}/tls.py", "            self._newer,  #",
      "            lambda: None,  #", "tests/e2e/test_security.py -k renewed"),
    G("server dies behind the balancer", "clients/hanjaserve/client/retry.py",
      "if self._failed >= policy.max_attempts:", "if True:", f"{CHAOS}/test_balancer.py"),
    G("jobs of a dead front-end", f"{SERVER}/processes/host.py",
      "        self._forget_all()\n        self._on_leave(self)", "        self._on_leave(self)",
      "tests/server/processes -k takes_its_jobs_along"),
    G("dead engine", f"{SERVER}/processes/remote.py", "future.set_exception(self._gone())", "pass",
      "tests/server/processes -k engine_that_goes"),
    G("cancelled in the engine", f"{SERVER}/processes/remote.py",
      "self._link.post(encode(Cancel(job)))", "pass",
      "tests/server/processes -k 'cancelled_call or deadline_passes'"),
    G("full ring", f"{SERVER}/processes/ring.py",
      "            if size > self._free:\n                return False\n", "",
      "tests/server/processes -k 'any_order or full_ring'"),
    G("lengths in a ring", f"{SERVER}/processes/ring.py", "            if left < 0:", "            if False:",
      "tests/server/processes -k believes"),
    G("health follows the engine", f"{SERVER}/processes/frontend.py", "if model is self._model:", "if False:",
      f"{CHAOS}/test_processes.py -k health_follows"),
    G("orphans end", f"{SERVER}/processes/child.py", "lambda: os._exit(ORPHANED)", "lambda: None",
      f"{CHAOS}/test_processes.py -k killed_supervisor"),
    G("children leave signals alone", f"{SERVER}/processes/child.py",
      "signal.signal(number, signal.SIG_IGN)", "pass",
      f"{CHAOS}/test_processes.py -k end_under_load"),
    G("new front-ends know glossaries", f"{SERVER}/processes/supervisor.py",
      "        self._registry.welcome(frontend.child)\n", "",
      f"{CHAOS}/test_processes.py -k killed_frontend"),
    G("callers take turns", f"{SERVER}/turns.py", "entry.turn = max(now, account.end if account else now)",
      "entry.turn = now", "tests/server/test_turns.py -k beside_a_flood"),
    G("flows go to the engine", f"{SERVER}/processes/remote.py", "FLOW.get()", "None",
      "tests/server/processes -k flow"),
    G("live edits are read more slowly", f"{SERVER}/live/stream.py",
      "                await asyncio.sleep(wait)\n", "                pass\n",
      "tests/server/live/test_stream.py -k read_more_slowly"),
    G("one turn at a time", f"{SERVER}/live/stream.py",
      "left = started + session.settings.interim_s - time.monotonic()", "left = 0.0",
      "tests/server/live/test_stream.py -k interim_rate"),
    G("length of a live document", f"{SERVER}/live/document.py", "if length > self._max_code_points:",
      "if False:", f"{CHAOS}/test_live.py -k too_long_together"),
    G("length of a message", f"{SERVER}/listener.py",
      '"grpc.max_receive_message_length": config.max_message_bytes', '"grpc.max_receive_message_length": -1',
      f"{CHAOS}/test_live.py -k paste"),
    G("results that nobody reads", f"{SERVER}/live/outbox.py",
      "self._results[segment.number] = segment, message",
      "self._results[object()] = segment, message", f"{CHAOS}/test_live.py -k reader_that_stops"),
    G("counters never run backwards", f"{SERVER}/processes/tally.py", "self._bury(self._known.pop(pid))",
      "self._known.pop(pid)", "tests/server/processes -k counts_of_all"),
)  # fmt: skip


def main(words: list[str]) -> int:
    """Check the guards whose row contains one of the words; all without."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.row for word in words)]
    blind = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for guard in chosen:
            verdict = _verdict(guard, copy)
            print(f"{verdict:12} {guard.row:34} {guard.test}", flush=True)
            if verdict != NOTICED:
                blind.append(guard.row)
    print(f"{len(chosen) - len(blind)} of {len(chosen)} guards are watched")
    return int(bool(blind))


def _verdict(guard: Guard, copy: Path) -> str:
    """What the test says with the guard, where it must pass, and without."""
    path = copy / guard.file
    whole = path.read_text(encoding="utf-8")
    if guard.code not in whole:
        print(f"{guard.file} does not contain {guard.code!r}", file=sys.stderr)
        return "NOT THERE"
    if (code := _run(guard.test, copy)) != 0:
        return "SKIPPED" if code == SKIPPED else "FAILS WHOLE"
    broken = whole.replace(guard.code, guard.broken, 1)
    if guard.also:
        broken = broken.replace(*guard.also, 1)
    path.write_text(broken, encoding="utf-8")
    try:
        return NOTICED if _run(guard.test, copy) == 1 else "NOT NOTICED"
    finally:
        path.write_text(whole, encoding="utf-8")


def _run(test: str, copy: Path) -> int:
    """Exit code of pytest: 0 passed, 1 failed, anything else is no verdict; a hang counts as failed.

    SKIPPED if something that the test needs is not there.
    """
    command = [sys.executable, "-m", "pytest", *PYTEST, *shlex.split(test)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / name) for name in _sources())}
    try:
        done = subprocess.run(
            command, cwd=copy, env=env, capture_output=True, timeout=LIMIT_S, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        return 1
    return SKIPPED if done.returncode == 0 and " passed" not in done.stdout else done.returncode


def _sources() -> Iterator[str]:
    return iter(("protos", "server", "build_engine", "clients", "models"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
