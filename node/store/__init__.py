"""The node's durable store: one database, one transaction per unit of a state machine.

`database.py` opens it and turns every storage error into `StoreFailed`; `tables.py` is the schema; the other modules
hold the statements of one subject each, as functions over an open transaction.
"""
