"""gradflow against PyTorch, the same code in two processes: `python -m benchmarks --help`."""
