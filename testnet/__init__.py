"""A whole network of real processes on one machine, whose links can be cut and shaped (docs/developer/testnet.md)."""
