"""A server whose runner computes nothing, and takes as long as a given device would: what is left is ours.

It is the real server but for its runner, which exists in this folder alone: no flag or variable of
`hanjaserve serve` names it, and it passes the self-test of no bundle but the one made here.
"""
