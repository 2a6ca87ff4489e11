"""The inference server: codec, batching, runners and the gRPC service."""
