"""``torch.backends.openmp``: threads are our own pool's."""


def is_available() -> bool:
    """Is OpenMP there?"""
    return False
