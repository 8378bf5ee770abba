"""The officer's side: everything that sees plaintext or an officer's private keys."""
