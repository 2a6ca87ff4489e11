"""What is committed of a flame graph says nothing about the machine that it was made on."""

from benchmarks.flame import without_paths

TITLE = "what it shows"

GRAPH = (
    '<svg><text id="title" x="50%">py-spy record --output /elsewhere/me/out.svg</text>'
    "<g><title>run (/elsewhere/me/script.py:3) (2 samples)</title><text>run (/elsewhere/me/scr..</text></g>"
    "<g><title>put (server/pool.py:182) (9 samples)</title><text>put (server/pool.py:182)</text></g></svg>"
)


def test_no_path_of_the_machine_remains() -> None:
    svg = without_paths(GRAPH, TITLE)
    assert "/elsewhere" not in svg
    assert TITLE in svg
    assert "run (script.py:3) (2 samples)" in svg


def test_what_is_in_a_package_keeps_its_place() -> None:
    assert without_paths(GRAPH, TITLE).count("put (server/pool.py:182)") == 2
