"""What everybody can check: the log, its state, checkpoints, policies, proofs and the rules that replay them."""
