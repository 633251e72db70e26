"""Small programs run with gradflow and with torch: the same values, gradients and kinds of exceptions."""

import numpy as np


def plain(value):
    """Tensors as arrays, in whatever they are nested."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return np.array(value.detach().numpy()) if hasattr(value, "detach") else value


def alike(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.shape == b.shape
            and a.dtype == b.dtype
            and np.allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=True)
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and a == b


def outcome(program, t):
    """(what the program returns, None) or (None, what it raises)"""
    try:
        return plain(program(t)), None
    except Exception as error:
        return None, error


def agree(program, ours, theirs):
    expected, their_error = outcome(program, theirs)
    got, our_error = outcome(program, ours)
    if their_error is None:
        assert our_error is None, f"torch gives {expected}, we raise {our_error!r}"
        assert alike(got, expected), f"torch gives {expected}, we {got}"
    else:
        assert our_error is not None, f"torch raises {their_error!r}, we give {got}"
        kinds = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError, ZeroDivisionError)
        kind = next((k for k in kinds if isinstance(their_error, k)), Exception)
        assert isinstance(our_error, kind), f"torch raises {their_error!r}, we {our_error!r}"
        if not isinstance(our_error, ZeroDivisionError | NotImplementedError):
            assert type(our_error).__module__ == "gradflow.errors", repr(our_error)
