"""Element types as small integers, and how two of them combine (the rules of ``torch.promote_types``)."""

BOOL, UINT8, INT8, INT16, INT32, INT64, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 = range(10)

NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
SIZES = (1, 1, 1, 2, 4, 8, 2, 2, 4, 8)

# A kernel computes in five register types; the narrow ones widen on load and are rounded or wrapped once, on store.
REGISTER = (BOOL, INT32, INT32, INT32, INT32, INT64, FLOAT32, FLOAT32, FLOAT32, FLOAT64)


def category(dtype: int) -> int:
    """0 for bool, 1 for integers, 2 for floating point."""
    return 0 if dtype == BOOL else 1 if dtype <= INT64 else 2


def _promote(a: int, b: int) -> int:
    low, high = sorted((a, b))
    if low == high or category(low) != category(high):
        return high
    if low == UINT8 and high == INT8:
        return INT16
    if low == FLOAT16 and high == BFLOAT16:
        return FLOAT32
    return high


PROMOTE = tuple(tuple(_promote(a, b) for b in range(10)) for a in range(10))


def promote(a: int, b: int) -> int:
    """The smallest type that holds both, as torch defines it.

    >>> NAMES[promote(UINT8, INT8)], NAMES[promote(INT64, FLOAT16)]
    ('int16', 'float16')
    """
    return PROMOTE[a][b]
