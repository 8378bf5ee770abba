"""The node's gRPC services and what stands at their door."""
