"""The sealed cable: what it says, who may send it, how it is sealed, and what is answered to it."""
