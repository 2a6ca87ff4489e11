"""The public face of the client: what it exports, and what it may import."""

import ast
import inspect
from pathlib import Path

import hanjaserve.client
from hanjaserve.client import errors, options, results

ALLOWED = {"hanjaserve.client", "hanjaserve.v1", "grpc", "google.rpc", "google.protobuf"}
OPTIONAL = {"traces.py": {"opentelemetry"}}


def test_all_is_complete_and_sorted() -> None:
    exported = hanjaserve.client.__all__
    assert len(set(exported)) == len(exported)
    assert all(hasattr(hanjaserve.client, name) for name in exported)
    public = {
        name
        for name, value in vars(hanjaserve.client).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(exported)


def test_every_public_error_and_result_is_exported() -> None:
    for module in (errors, results):
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                assert name.startswith("_") or name in hanjaserve.client.__all__, name
    assert options.MAX_ALTERNATIVES == 8


def test_the_client_imports_only_what_it_may() -> None:
    import sys

    for path in Path(inspect.getfile(hanjaserve.client)).parent.glob("*.py"):
        prefixes = ALLOWED | OPTIONAL.get(path.name, set())
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                allowed = name.split(".")[0] in sys.stdlib_module_names or any(
                    name == prefix or name.startswith(prefix + ".") for prefix in prefixes
                )
                assert allowed, f"{path.name} imports {name}"
