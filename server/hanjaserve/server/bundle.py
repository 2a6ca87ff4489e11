"""A bundle: the folder with everything that a model needs to be served.

    manifest.json      what this module reads: shapes, scheme, metrics, sha256 of every other file
    model.fp32.onnx    the engine graph; model.fp16.onnx the same, strongly typed FP16
    model.cpu.xml .bin the OpenVINO model, if the CPU runtime is OpenVINO
    labels.txt         what each label stands for
    tokenizer.json     word scheme only
    readings.tsv       a syllable and all Hanja that are read so
    words.txt          Hanja words of the dictionary; a bundle may lack it
    reference.json     sentences and what they must convert to, for the self-test of a runner
    licences/*

A bundle never changes once published; its revision is a hash of its contents. Opening it checks
every file. Nothing here loads a model.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from hanjaserve.server.errors import BundleError
from hanjaserve.server.labels import LabelTable

SCHEMA = 1
MANIFEST = "manifest.json"
LABELS = "labels.txt"
TOKENIZER = "tokenizer.json"
REFERENCE = "reference.json"
SCHEMES = ("syllable", "word")
CPU_RUNTIMES = ("onnxruntime", "openvino")
FIX = "run `make bundle`, or install hanjaserve again"
# What engines and codec go by, and hence part of the revision; metrics and provenance are not.
ENGINE_FIELDS = (
    "scheme", "reading_mask", "top_k", "max_tokens", "context_tokens", "pad_id", "styles",
    "cpu_runtime",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What a file of the bundle must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says about itself.

    Attributes:
        schema: Version of this very format.
        name: Name of the model.
        revision: 16 hexadecimal digits, a hash of the contents.
        scheme: "syllable" or "word".
        reading_mask: Labels are limited to those that are read as the token.
        top_k: Candidates per token.
        max_tokens: Longest window, special tokens included.
        context_tokens: Context on each side of a window where a long text is cut.
        pad_id: Token that fills up short rows.
        styles: Name -> style token, the default one first; empty if the model knows no styles.
        cpu_runtime: Which of CPU_RUNTIMES was found to be better for this model.
        metrics: Accuracy and parity, as measured.
        provenance: Commit, data and tools that it was made with.
        files: Path inside the bundle -> what the file must be.
    """

    schema: int
    name: str
    revision: str
    scheme: str
    reading_mask: bool
    top_k: int
    max_tokens: int
    context_tokens: int
    pad_id: int
    styles: Mapping[str, int]
    cpu_runtime: str
    metrics: Mapping[str, Any]
    provenance: Mapping[str, Any]
    files: Mapping[str, FileEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle.

    Attributes:
        root: Its folder.
        manifest: What it says about itself.
    """

    root: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str | os.PathLike[str], *, verify: bool = True) -> "Bundle":
        """Open the bundle in a folder.

        Args:
            path: The folder.
            verify: Compare every file with the manifest; without, only the manifest is read.

        Raises:
            BundleError: Says in one line which file, what is wrong with it, and what to do.
        """
        root = Path(path)
        bundle = cls(root=root, manifest=_read_manifest(root))
        if verify:
            for name, entry in bundle.manifest.files.items():
                _check_file(root / name, entry)
            if bundle.manifest.revision != _revision(bundle.manifest):
                raise BundleError(
                    f"{root / MANIFEST} does not match its revision {bundle.manifest.revision}, "
                    f"so it was changed by hand: {FIX}"
                )
        return bundle

    def has(self, name: str) -> bool:
        """Whether a file is in the bundle."""
        return name in self.manifest.files

    def path(self, name: str) -> Path:
        """Where a file of the bundle is.

        Raises:
            BundleError: The bundle has no such file.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.root} has no {name}, which is needed: {FIX}")
        return self.root / name

    def labels(self) -> LabelTable:
        """Read the label table.

        Raises:
            BundleError: The table is not one of the bundle's scheme.
        """
        path = self.path(LABELS)
        try:
            table = LabelTable.load(path)
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path} can't be read ({error}): {FIX}") from error
        if fault := table.fault(self.manifest.scheme):
            raise BundleError(f"{path} is no {self.manifest.scheme} table, {fault}: {FIX}")
        return table

    def reference(self) -> tuple[tuple[str, str], ...]:
        """Read the sentences for the self-test: (text, converted text) in the default style.

        Raises:
            BundleError: The file is missing or not what it should be.
        """
        path = self.path(REFERENCE)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return tuple((str(entry["text"]), str(entry["converted"])) for entry in content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} can't be read ({error!r}): {FIX}") from error


def write_manifest(folder: Path, **values: Any) -> Manifest:
    """Write `manifest.json` for everything that is in a folder, in one step.

    Args:
        folder: The bundle to be; hidden files and an old manifest are passed over.
        **values: Fields of `Manifest` without schema, revision and files, which are computed.

    Raises:
        BundleError: A value is missing, unknown or not allowed.
    """
    files = {
        found.relative_to(folder).as_posix(): FileEntry(sha256=_sha256(found), bytes=found.stat().st_size)
        for found in sorted(folder.rglob("*"))
        if found.is_file() and found.name != MANIFEST and not found.name.startswith(".")
    }
    plain = {name: asdict(entry) for name, entry in files.items()}
    target = folder / MANIFEST
    draft = _parse({**values, "schema": SCHEMA, "revision": "", "files": plain}, target)
    content = {**asdict(draft), "revision": _revision(draft)}
    _write_atomically(target, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return _parse(content, target)


def _read_manifest(root: Path) -> Manifest:
    path = root / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "there is no such folder" if not root.exists() else f"it has no {MANIFEST}"
        raise BundleError(f"no bundle at {root}, {what}: {FIX}") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} can't be read ({error}): {FIX}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} is damaged, it holds no object: {FIX}")
    if content.get("schema") != SCHEMA:
        raise BundleError(
            f"{path} has schema {content.get('schema')!r}, this version reads schema {SCHEMA}: "
            "take the bundle that belongs to this version of hanjaserve, or build one"
        )
    return _parse(content, path)


def _parse(content: Mapping[str, Any], path: Path) -> Manifest:
    names = {field.name for field in fields(Manifest)}
    if missing := names - content.keys():
        raise BundleError(f"{path} lacks {', '.join(sorted(missing))}: {FIX}")
    # A bundle that says more than we understand may mean more; that is what the schema is for.
    if unknown := content.keys() - names:
        raise BundleError(f"{path} has unknown fields {', '.join(sorted(unknown))}: {FIX}")
    try:
        files = {name: FileEntry(**entry) for name, entry in content["files"].items()}
    except (AttributeError, TypeError) as error:
        raise BundleError(f"{path} is damaged, files can't be read ({error}): {FIX}") from error
    manifest = Manifest(**{**content, "files": files})
    if fault := _fault(manifest):
        raise BundleError(f"{path} is damaged, {fault}: {FIX}")
    return manifest


def _fault(manifest: Manifest) -> str | None:
    m = manifest
    if m.scheme not in SCHEMES:
        return f"scheme is {m.scheme!r} instead of one of {', '.join(SCHEMES)}"
    if m.cpu_runtime not in CPU_RUNTIMES:
        return f"cpu_runtime is {m.cpu_runtime!r} instead of one of {', '.join(CPU_RUNTIMES)}"
    for name in ("top_k", "max_tokens", "context_tokens", "pad_id"):
        value = getattr(m, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f"{name} is {value!r} instead of a whole number"
    if m.top_k < 1 or m.max_tokens < 8 or 4 * m.context_tokens > m.max_tokens:
        return (
            f"top_k {m.top_k}, max_tokens {m.max_tokens} and context_tokens {m.context_tokens} do "
            "not fit: at least 1, at least 8, at most a quarter of max_tokens"
        )
    if not isinstance(m.styles, Mapping) or not all(
        isinstance(token, int) and 0 < token < 8 for token in m.styles.values()
    ):
        return f"styles is {m.styles!r} instead of names with tokens from 1 to 7"
    if m.scheme == "syllable" and not m.styles:
        return "styles is empty, a syllable model has at least one"
    for name in m.files:
        if not _is_safe(name):
            return f"the path {name!r} leads out of the bundle"
    required = {LABELS, TOKENIZER} if m.scheme == "word" else {LABELS}
    if missing := required - m.files.keys():
        return f"files lacks {', '.join(sorted(missing))}"
    return None


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and bool(path.parts)
    return plain and not any(sign in name for sign in "\\:\0")


def _check_file(path: Path, entry: FileEntry) -> None:
    try:
        size = path.stat().st_size
        digest = _sha256(path) if size == entry.bytes else None
    except FileNotFoundError:
        raise BundleError(f"{path} is missing: {FIX}") from None
    except OSError as error:
        raise BundleError(f"{path} can't be read ({error}): {FIX}") from error
    if digest is None:
        raise BundleError(f"{path} is damaged, {size} bytes instead of {entry.bytes}: {FIX}")
    if digest != entry.sha256:
        raise BundleError(f"{path} is damaged, its sha256 is not that of the manifest: {FIX}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _revision(manifest: Manifest) -> str:
    hashes = {name: entry.sha256 for name, entry in manifest.files.items()}
    engine = {name: getattr(manifest, name) for name in ENGINE_FIELDS}
    content = json.dumps({"files": hashes, **engine}, sort_keys=True, default=dict)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _write_atomically(path: Path, content: str) -> None:
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
