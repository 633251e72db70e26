"""``torch.backends.mps``: Apple's GPUs are not there."""


def is_available() -> bool:
    """Is there one?"""
    return False


def is_built() -> bool:
    """Was the package built for them?"""
    return False
