"""The `hanjaserve` command line."""
