"""The command line: arguments in, words and JSON out. Rules live below, in terminal, node and the core."""
