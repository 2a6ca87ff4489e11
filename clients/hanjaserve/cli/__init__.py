"""The `hanjaserve` command line: `main.py` picks a command, every command has a module."""
