"""The tape: nodes, leaves, version counters, and the walk back. Knows arrays and plans; no tensors, no operations."""
