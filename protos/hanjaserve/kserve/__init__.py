"""Stubs of KServe's open inference protocol, version 2; see inference.proto."""
