"""`--frontends N`: front-end processes on one port, an engine process, and a supervisor of them all.

    supervisor ──spawns──> frontend 1..N   gRPC, guard, encode, decode, render   (frontend.py)
        │                      ║ link: two rings in shared memory, two wake-ups  (link.py, ring.py)
        └──────spawns──> engine            queue, batches, runner                (engine.py, host.py)

A front-end is the whole server but for its pool: `remote.RemotePool` stands in its place and hands jobs
over. A link belongs to one front-end and one engine, and dies with either: nothing of it is used again, so
that no late answer can reach another call. Memory and sockets have no names; the kernel takes them back
with the last process.
"""
