"""Generated messages and stubs of the hanjaserve.v1 API; `make protos` writes them."""
