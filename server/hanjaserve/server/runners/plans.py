"""Compiled plans on disk: what each was made for, where it lies, and how it gets there.

A plan file says what it is for, so that a file that was renamed, copied from another machine or cut
off is told apart from a good one before TensorRT sees it:

    the line HANJAPLAN 1 | a line of JSON: the spec, and the sha256 of the plan | the plan

Its name is a hash of the spec. Files are written under another name and renamed, so a reader sees a
whole plan or none; whoever builds one holds its lock, which ends with the process that holds it.
Nothing here knows TensorRT or CUDA.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BundleError
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.flavours import Flavour

FP16_MODEL = "model.fp16.onnx"
MAGIC = b"HANJAPLAN 1\n"
ANY = "any"
"""In a spec: whatever the machine has."""
LANES = 2
"""Execution contexts that overlap copies and computing, by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpec:
    """Everything that makes one plan different from another.

    Attributes:
        onnx_sha256: Of the graph.
        flavour: "tensorrt" or "tensorrt-rtx".
        version: Of TensorRT.
        device: Name of the GPU, or "any".
        compute: Its compute capability, such as "8.9", or "any".
        precision: Of the graph.
        lengths: Tokens per row of the buckets.
        max_batch_tokens: Tokens of the largest bucket.
        lanes: Execution contexts that share the plan; each has optimization profiles of its own.
        flags: Names of the builder flags that were set.
    """

    onnx_sha256: str
    flavour: str
    version: str
    device: str
    compute: str
    precision: str = "fp16"
    lengths: tuple[int, ...]
    max_batch_tokens: int
    lanes: int
    flags: tuple[str, ...]

    @property
    def key(self) -> str:
        """The file's name: 24 hexadecimal digits."""
        return hashlib.sha256(_json(asdict(self))).hexdigest()[:24]

    @property
    def buckets(self) -> BucketTable:
        """The buckets that the plan was made for."""
        return BucketTable(lengths=self.lengths, max_batch_tokens=self.max_batch_tokens)


def spec_from(content: Mapping[str, Any]) -> PlanSpec:
    """A spec that came as JSON, where tuples are lists."""
    given: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in content.items()}
    return PlanSpec(**given)


def builder_flags(flavour: Flavour) -> tuple[str, ...]:
    """The builder flags of a flavour, by name.

    Precision is in the graph, so no flag sets it. RTX alone needs one: without it its contexts may
    allocate while they run, which a CUDA graph can't record.
    """
    return ("REQUIRE_USER_ALLOCATION",) if flavour.name == "tensorrt-rtx" else ()


def make_spec(
    bundle: Bundle,
    flavour: Flavour,
    buckets: BucketTable,
    *,
    device: str = ANY,
    compute: str = ANY,
    lanes: int = LANES,
) -> PlanSpec:
    """The spec of a bundle's plan.

    Raises:
        BundleError: The bundle has no FP16 graph.
    """
    bundle.path(FP16_MODEL)
    return PlanSpec(
        onnx_sha256=bundle.manifest.files[FP16_MODEL].sha256,
        flavour=flavour.name,
        version=flavour.version,
        device=device,
        compute=compute,
        lengths=buckets.lengths,
        max_batch_tokens=buckets.max_batch_tokens,
        lanes=lanes,
        flags=builder_flags(flavour),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCache:
    """A folder of plans and timing caches.

    Attributes:
        root: Made when something is written.
    """

    root: Path

    def path(self, spec: PlanSpec) -> Path:
        """Where the plan of a spec is or would be."""
        return self.root / f"{spec.key}.plan"

    def timing_path(self, spec: PlanSpec) -> Path:
        """The timing cache that builds for this flavour, version and GPU share."""
        machine = hashlib.sha256(f"{spec.device} {spec.compute}".encode()).hexdigest()[:8]
        return self.root / f"{spec.flavour}-{spec.version}-{machine}.timing"

    def kernels_path(self, spec: PlanSpec) -> Path:
        """The kernels that TensorRT for RTX compiled for a plan when it was loaded."""
        return self.root / f"{spec.key}.kernels"

    def load(self, spec: PlanSpec) -> bytes:
        """Read a plan.

        Raises:
            BundleError: There is none, it is damaged, or it was made for something else.
        """
        path = self.path(spec)
        fix = "run `hanjaserve build compile`"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise BundleError(f"no plan for {spec.flavour} {spec.version} in {self.root}: {fix}") from None
        except OSError as error:
            raise BundleError(f"{path} can't be read ({error}): {fix}") from error
        header, _, plan = content.removeprefix(MAGIC).partition(b"\n")
        try:
            found = json.loads(header)
            made_for, digest = found["spec"], found["sha256"]
        except (ValueError, KeyError, TypeError):
            raise BundleError(f"{path} is no plan file: {fix}") from None
        if difference := _difference(made_for, spec):
            raise BundleError(f"{path} is a foreign plan, {difference}: {fix}")
        if not content.startswith(MAGIC) or hashlib.sha256(plan).hexdigest() != digest:
            raise BundleError(f"{path} is damaged, its sha256 is not the one it names: {fix}")
        return plan

    def save(self, spec: PlanSpec, plan: bytes) -> Path:
        """Publish a plan; returns its path."""
        header = _json({"spec": asdict(spec), "sha256": hashlib.sha256(plan).hexdigest()})
        write_atomically(self.path(spec), MAGIC + header + b"\n" + plan)
        return self.path(spec)

    def discard(self, spec: PlanSpec) -> None:
        """Remove a plan that does not work, so that it is built again."""
        self.path(spec).unlink(missing_ok=True)

    @contextmanager
    def lock(self, spec: PlanSpec) -> Iterator[None]:
        """Hold the right to build a plan; waits while another process has it."""
        import fcntl  # where it is missing, there is no GPU runner, but the module can be imported

        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock_path(spec).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_locked(self, spec: PlanSpec) -> bool:
        """Whether a process builds the plan just now."""
        import fcntl

        if not self._lock_path(spec).exists():
            return False
        with self._lock_path(spec).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _lock_path(self, spec: PlanSpec) -> Path:
        return self.path(spec).with_suffix(".lock")


def default_cache_root(environment: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/hanjaserve, or ~/.cache/hanjaserve: a bundle's own folder may be read-only."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hanjaserve" / "plans"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that no reader, and no power cut, ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False).encode()


def _difference(made_for: Mapping[str, object], spec: PlanSpec) -> str:
    """What tells a plan's spec from the wanted one; empty if nothing does."""
    wanted = json.loads(_json(asdict(spec)))
    for name in sorted(wanted.keys() | made_for.keys()):
        if made_for.get(name) != wanted.get(name):
            return f"its {name} is {made_for.get(name)!r} instead of {wanted.get(name)!r}"
    return ""
