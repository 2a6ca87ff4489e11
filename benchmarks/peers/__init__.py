"""Other servers around the same model: `make bench-peers`.

Every peer has a folder with its server, its settings and its requirements, and runs in an environment of its
own, which is made on first use. All of them convert with `model.py`, hence with the same runner and codec as
hanjaserve: what is compared is the serving.
"""
