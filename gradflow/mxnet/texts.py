"""What MXNet's functions say of themselves: sentences and examples. An entry without a sentence continues the function's own."""

from collections.abc import Callable


def explain(functions: dict[str, Callable], texts: dict[str, str]) -> None:
    """Give functions their texts, by name; one that has an example keeps what it has."""
    for name in texts.keys() & functions:
        own = functions[name].__doc__ or ""
        functions[name].__doc__ = own if ">>>" in own else own + texts[name]


NUMPY = {
    "equal": """1 where ``a == b``, else 0, in the operands' common type: MXNet's comparisons do not give bools.

    >>> from gradflow.mxnet import np
    >>> np.equal(np.array([1, 2]), 2)
    array([0., 1.])
    """,
    "not_equal": """1 where ``a != b``, else 0, in the operands' common type.

    >>> from gradflow.mxnet import np
    >>> np.not_equal(np.array([1, 2]), 2)
    array([1., 0.])
    """,
    "greater": """1 where ``a > b``, else 0, in the operands' common type.

    >>> from gradflow.mxnet import np
    >>> np.greater(np.array([1, 2]), np.array([0, 3]))
    array([1., 0.])
    """,
    "greater_equal": """1 where ``a >= b``, else 0, in the operands' common type.

    >>> from gradflow.mxnet import np
    >>> np.greater_equal(np.array([1, 2]), 2)
    array([0., 1.])
    """,
    "less": """1 where ``a < b``, else 0, in the operands' common type.

    >>> from gradflow.mxnet import np
    >>> np.less(np.array([1, 2]), 2)
    array([1., 0.])
    """,
    "less_equal": """1 where ``a <= b``, else 0, in the operands' common type.

    >>> from gradflow.mxnet import np
    >>> np.less_equal(np.array([1, 2, 3]), 2)
    array([1., 1., 0.])
    """,
    "mean": """Σx / n over all elements or over ``axis`` (an axis or a tuple); integers are averaged as float32.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.mean(x)
    array(2.5)
    >>> np.mean(x, axis=0, keepdims=True)
    array([[2., 3.]])
    """,
    "std": """√(Σ(x - mean)² / (n - ddof)) over all elements or over ``axis``; ``ddof`` is 0 as in NumPy, not 1 as in ``gf.std``.

    >>> from gradflow.mxnet import np
    >>> np.std(np.array([1, 3]))
    array(1.)
    >>> np.std(np.array([[1, 3], [2, 2]]), axis=1)
    array([1., 0.])
    """,
    "var": """Σ(x - mean)² / (n - ddof) over all elements or over ``axis``; ``ddof`` is 0 as in NumPy, not 1 as in ``gf.var``.

    >>> from gradflow.mxnet import np
    >>> np.var(np.array([1, 3]))
    array(1.)
    >>> np.var(np.array([1, 3]), ddof=1)
    array(2.)
    """,
    "cumsum": """The running sums along ``axis``; of all elements, flattened, by default.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.cumsum(x)
    array([ 1.,  3.,  6., 10.])
    >>> np.cumsum(x, axis=0)
    array([[1., 2.],
           [4., 6.]])
    """,
    "cumprod": """The running products along ``axis``; of all elements, flattened, by default.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.cumprod(x)
    array([ 1.,  2.,  6., 24.])
    >>> np.cumprod(x, axis=1)
    array([[ 1.,  2.],
           [ 3., 12.]])
    """,
    "sort": """The elements in ascending order along ``axis``, the last by default; all of them, flattened, for ``axis=None``.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[3, 1], [2, 0]])
    >>> np.sort(x)
    array([[1., 3.],
           [0., 2.]])
    >>> np.sort(x, axis=None)
    array([0., 1., 2., 3.])
    """,
    "argsort": """The indices that sort along ``axis``, the last by default; of all elements, flattened, for ``axis=None``.

    >>> from gradflow.mxnet import np
    >>> np.argsort(np.array([3, 1, 2])).asnumpy().tolist()
    [1, 2, 0]
    """,
    "outer": """aᵢ bⱼ: every product of an element of ``a`` and one of ``b``, both flattened first.

    >>> from gradflow.mxnet import np
    >>> np.outer(np.array([1, 2]), np.array([3, 4, 5]))
    array([[ 3.,  4.,  5.],
           [ 6.,  8., 10.]])
    """,
    "median": """The middle value, or the mean of the two in the middle, over all elements or over ``axis``.

    >>> from gradflow.mxnet import np
    >>> np.median(np.array([5, 1, 2, 4]))
    array(3.)
    >>> np.median(np.array([[1, 2], [3, 6]]), axis=0)
    array([2., 4.])
    """,
    "average": """Σwx / Σw over all elements or over ``axis``: the mean if there are no ``weights``; those of one axis belong to ``axis``.

    >>> from gradflow.mxnet import np
    >>> np.average(np.array([1, 4]))
    array(2.5)
    >>> np.average(np.array([1, 4]), weights=np.array([3, 1]))
    array(1.75)
    """,
    "transpose": """The axes in the order ``axes``, reversed by default.

    >>> from gradflow.mxnet import np
    >>> np.transpose(np.array([[1, 2], [3, 4]]))
    array([[1., 3.],
           [2., 4.]])
    >>> np.transpose(np.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """,
    "flip": """The order of the elements reversed along ``axis`` (an axis or a tuple), along all of them by default.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.flip(x)
    array([[4., 3.],
           [2., 1.]])
    >>> np.flip(x, axis=1)
    array([[2., 1.],
           [4., 3.]])
    """,
    "roll": """The elements moved on by ``shift`` along ``axis``, the last ones to the front; through all of them, flattened, by default.

    >>> from gradflow.mxnet import np
    >>> np.roll(np.arange(4), 1)
    array([3., 0., 1., 2.])
    >>> np.roll(np.array([[1, 2], [3, 4]]), 1, axis=0)
    array([[3., 4.],
           [1., 2.]])
    """,
    "rot90": """Turned ``k`` times by 90 degrees, from the first of ``axes`` towards the second.

    >>> from gradflow.mxnet import np
    >>> np.rot90(np.array([[1, 2], [3, 4]]))
    array([[2., 4.],
           [1., 3.]])
    """,
    "repeat": """Each element ``repeats`` times in a row, along ``axis``; of all elements, flattened, by default.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.repeat(x, 2)
    array([1., 1., 2., 2., 3., 3., 4., 4.])
    >>> np.repeat(x, 2, axis=1)
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])
    """,
    "squeeze": """Without the axes of size 1, or without ``axis`` (an axis or a tuple); an axis of another size is an error.

    >>> from gradflow.mxnet import np
    >>> np.squeeze(np.ones((1, 2, 1))).shape
    (2,)
    >>> np.squeeze(np.ones((1, 2, 1)), axis=0).shape
    (2, 1)
    """,
    "append": """``values`` after ``arr`` along ``axis``; both flattened by default.

    >>> from gradflow.mxnet import np
    >>> np.append(np.array([1, 2]), np.array([3]))
    array([1., 2., 3.])
    >>> np.append(np.ones((1, 2)), np.zeros((1, 2)), axis=0)
    array([[1., 1.],
           [0., 0.]])
    """,
    "dot": """

    >>> from gradflow.mxnet import np
    >>> np.dot(np.array([1, 2]), np.array([3, 4]))
    array(11.)
    >>> np.dot(np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3., 7.])
    """,
    "tensordot": """The sum of products over ``axes``: the last so many of ``a`` and the first of ``b``, or an axis (or several) for each.

    >>> from gradflow.mxnet import np
    >>> np.tensordot(np.ones((2, 3)), np.ones((3, 2)), axes=1)
    array([[3., 3.],
           [3., 3.]])
    >>> np.tensordot(np.ones((2, 3)), np.ones((2, 4)), axes=(0, 0)).shape
    (3, 4)
    """,
    "clip": """min(max(x, a_min), a_max), elementwise.

    >>> from gradflow.mxnet import np
    >>> np.clip(np.array([-1, 0.5, 2]), 0, 1)
    array([0. , 0.5, 1. ])
    """,
    "where": """``x`` where ``condition`` is not 0, else ``y``; the condition need not be of bools.

    >>> from gradflow.mxnet import np
    >>> np.where(np.array([1, 0]), np.array([1, 2]), np.array([3, 4]))
    array([1., 4.])
    """,
    "array_equal": """Whether two arrays have the same shape and the same elements: a ``bool``.

    >>> from gradflow.mxnet import np
    >>> np.array_equal(np.array([1, 2]), np.array([1, 2]))
    True
    >>> np.array_equal(np.array([1, 2]), np.array([1, 3]))
    False
    """,
    "take": """

    >>> from gradflow.mxnet import np
    >>> np.take(np.array([10, 20, 30]), np.array([2, 0, 9]))
    array([30., 10., 30.])
    >>> np.take(np.array([10, 20, 30]), np.array([3]), mode="wrap")
    array([10.])
    """,
    "split": """A list of equal parts along ``axis``, or those between the given indices; a number that does not divide the size is an error.

    >>> from gradflow.mxnet import np
    >>> np.split(np.arange(4), 2)
    [array([0., 1.]), array([2., 3.])]
    >>> [p.shape for p in np.split(np.arange(5), [1, 3])]
    [(1,), (2,), (2,)]
    """,
    "array_split": """A list of parts along ``axis``, the first ones longer by one if the number does not divide the size.

    >>> from gradflow.mxnet import np
    >>> np.array_split(np.arange(3), 2)
    [array([0., 1.]), array([2.])]
    """,
    "trace": """Σ of the diagonal ``offset`` of ``axis1`` and ``axis2``.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.trace(x)
    array(5.)
    >>> np.trace(x, offset=1)
    array(2.)
    """,
    "diagonal": """The diagonal of ``axis1`` and ``axis2``, ``offset`` places to the right of the main one.

    >>> from gradflow.mxnet import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.diagonal(x)
    array([1., 4.])
    >>> np.diagonal(x, offset=1)
    array([2.])
    """,
    "meshgrid": """The coordinates of a grid over the given axes, an array for each; ``indexing='xy'``, the default, has the second axis first.

    >>> from gradflow.mxnet import np
    >>> x, y = np.meshgrid(np.array([1, 2]), np.array([3, 4]))
    >>> x
    array([[1., 2.],
           [1., 2.]])
    >>> y
    array([[3., 3.],
           [4., 4.]])
    """,
    "nonzero": """The indices of the elements that are not 0: a tuple with an array for each axis.

    >>> from gradflow.mxnet import np
    >>> [i.asnumpy().tolist() for i in np.nonzero(np.array([[0, 1], [2, 0]]))]
    [[0, 1], [1, 0]]
    """,
    "unique": """The different elements, sorted; with the inverse or the counts as well if they are asked for.

    >>> from gradflow.mxnet import np
    >>> np.unique(np.array([2, 1, 2]))
    array([1., 2.])
    >>> np.unique(np.array([2, 1, 2]), return_counts=True)[1].asnumpy().tolist()
    [1, 2]
    """,
    "pad": """More at the ends of each axis: ``pad_width`` is a number, (before, after), or such a pair for each axis; ``mode`` 'constant', 'edge' or 'reflect'.

    >>> from gradflow.mxnet import np
    >>> np.pad(np.array([1, 2]), (1, 2))
    array([0., 1., 2., 0., 0.])
    >>> np.pad(np.array([[1, 2]]), ((0, 1), (0, 0)), constant_values=9)
    array([[1., 2.],
           [9., 9.]])
    """,
}
