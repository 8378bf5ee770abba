"""The consensus engine as a process: its files, its start and end, and the entries handed to it."""
