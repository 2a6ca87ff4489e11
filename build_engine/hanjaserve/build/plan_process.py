"""The process that builds one plan: `python -m hanjaserve.build.plan_process REQUEST`.

What: reads a request (JSON: onnx, spec, plan, timing), builds, and leaves the plan under the name that it
was told. On standard output it says how far it is, and why it failed, one JSON object per line.
Why a process: TensorRT keeps memory and can crash; here neither matters. See compile.py for the side that
starts it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hanjaserve.build.plan_builder import build_plan
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.runners.flavours import open_flavour
from hanjaserve.server.runners.plans import spec_from, write_atomically

FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the request asks for; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    request = json.loads(Path(arguments[0]).read_text("utf-8"))
    spec = spec_from(request["spec"])
    timing = Path(request["timing"])
    try:
        built = build_plan(
            open_flavour(spec.flavour),
            Path(request["onnx"]).read_bytes(),
            spec,
            timing_cache=timing.read_bytes() if timing.exists() else b"",
            progress=lambda phase, done, steps: _say(phase=phase, done=done, steps=steps),
        )
    except HanjaserveError as error:
        _say(error=str(error))
        return FAILED
    if built.timing_cache:
        write_atomically(timing, built.timing_cache)
    Path(request["plan"]).write_bytes(built.plan)
    return 0


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    sys.exit(main())
