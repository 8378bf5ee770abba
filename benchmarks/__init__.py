"""What our code costs beside the bare calls that it cannot do without: `python -m benchmarks [TOPIC...]`."""
