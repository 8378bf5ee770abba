"""The words on the wire: message types, their one canonical encoding, and named errors."""
