"""Replays arrivals against a cost model, to compare scheduling policies without hardware.

    python -m benchmarks.simulator        # the table of docs/performance.md

One runner, one clock, nothing random but the traces, which are seeded. What a policy costs by itself is
not simulated, nor is anything around it (network, encoding).
"""
