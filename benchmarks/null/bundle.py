"""A bundle without a model: the tables of another one, and sentences that stay as they are."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from hanjaserve.server.bundle import LABELS, REFERENCE, TOKENIZER, Bundle, write_manifest

TABLES = (LABELS, TOKENIZER, "readings.tsv", "words.txt")
COMPUTED = ("schema", "revision", "files")


def make_null_bundle(source: Path, folder: Path) -> Path:
    """Make it of another bundle, in a new folder; returns the folder."""
    bundle = Bundle.open(source)
    folder.mkdir(parents=True)
    for name in TABLES:
        if bundle.has(name):
            shutil.copy(bundle.path(name), folder / name)
    kept = [{"text": text, "converted": text} for text, _ in bundle.reference()]
    (folder / REFERENCE).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    values = {name: value for name, value in asdict(bundle.manifest).items() if name not in COMPUTED}
    write_manifest(folder, **{**values, "name": "null", "metrics": {}})
    return folder
