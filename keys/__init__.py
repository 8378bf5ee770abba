"""Who somebody is: public keys and their ids, signatures, proofs of possession, prekeys, keystores."""
