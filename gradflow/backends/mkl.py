"""``torch.backends.mkl``: products are OpenBLAS's."""


def is_available() -> bool:
    """Is MKL there?"""
    return False
