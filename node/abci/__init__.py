"""The socket on which the consensus engine calls the ledger (docs/protocol/abci.md)."""
