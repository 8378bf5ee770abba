"""The I/O around the state machines: each module carries out one machine's actions over store and links."""
