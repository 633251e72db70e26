"""``torch.backends.mps``: Apple's GPUs are not supported."""


def is_available() -> bool:
    """No."""
    return False


def is_built() -> bool:
    """No."""
    return False
