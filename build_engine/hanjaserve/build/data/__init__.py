"""Training data: readers, tables, distant labels."""
