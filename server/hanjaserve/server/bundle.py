"""A bundle: the directory with everything a server needs, checked before it is used.

manifest.json lists every file with its size and SHA-256; a bundle is never changed once published, so its
revision is the hash of those hashes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hanjaserve.server.errors import BundleError
from hanjaserve.server.labels import LabelTable

SCHEMA = 1
MANIFEST = "manifest.json"
_FIX = "reinstall hanjaserve, or make the bundle again with `make bundle`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of itself.

    Attributes:
        scheme: "syllable" or "word".
        reading_mask: whether labels that break a reading are impossible.
        max_tokens: longest window, special tokens included.
        context_tokens: context on each side of a cut in a longer text.
        styles: name of a style to the token that announces it.
        cpu_runtime: "openvino" or "onnxruntime".
        files: path to {"sha256", "bytes"}.
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
    files: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle."""

    root: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> "Bundle":
        """Opens a bundle and, unless told otherwise, checks every file's hash.

        Raises:
            BundleError: Names the file, what is wrong with it and what to do.
        """
        root = Path(path)
        manifest = _read_manifest(root / MANIFEST)
        for name, entry in manifest.files.items():
            _check_file(root, name, entry, verify)
        return cls(root=root, manifest=manifest)

    def path(self, name: str) -> Path:
        """The path of a file that the manifest lists."""
        if name not in self.manifest.files:
            raise BundleError(f"the bundle {self.root} has no {name}: {_FIX}")
        return self.root / name

    def labels(self) -> LabelTable:
        """The label table."""
        return LabelTable.load(self.path("labels.txt"))


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"no bundle at {path.parent}: {path.name} is missing; {_FIX}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} can't be read ({error}); {_FIX}") from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise BundleError(
            f"{path} has schema {found}, this server reads {SCHEMA}: use a bundle made for it"
        )
    try:
        return Manifest(**raw)
    except TypeError as error:
        raise BundleError(f"{path} has wrong or missing fields ({error}); {_FIX}") from error


def _check_file(root: Path, name: str, entry: Mapping[str, Any], verify: bool) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise BundleError(f"{root / MANIFEST} lists the unsafe path {name!r}; {_FIX}")
    path = root / name
    if not path.is_file():
        raise BundleError(f"{path} is missing; {_FIX}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise BundleError(f"{path} has {size} bytes, expected {entry['bytes']}: damaged; {_FIX}")
    if verify and _sha256(path) != entry["sha256"]:
        raise BundleError(f"{path} does not match its SHA-256 in {MANIFEST}: damaged; {_FIX}")


def write_manifest(folder: Path, **fields: Any) -> Manifest:
    """Hashes every file of `folder` and writes its manifest, through a temporary name.

    Args:
        folder: the bundle's files, complete.
        fields: the fields of Manifest but schema, revision and files.
    """
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    )
    files = {
        name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in names
    }
    digest = hashlib.sha256("".join(f"{n} {files[n]['sha256']}\n" for n in names).encode())
    revision = digest.hexdigest()[:16]
    manifest = Manifest(schema=SCHEMA, revision=revision, files=files, **fields)
    temporary = folder / f"{MANIFEST}.tmp"
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1, sort_keys=True)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST)
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
