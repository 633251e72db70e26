"""What the functions that make arrays, those of layers and ``nd``'s own say of themselves; see ``texts``."""

MAKING = {
    "zeros": """Zeros of this shape, float32 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.zeros((2, 2))
    array([[0., 0.],
           [0., 0.]])
    >>> np.zeros(2, dtype="int32")
    array([0, 0], dtype=int32)
    """,
    "ones": """Ones of this shape, float32 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.ones(3)
    array([1., 1., 1.])
    """,
    "empty": """An array of this shape, float32 unless ``dtype`` is given, whose elements may be anything.

    >>> from gradflow.mxnet import np
    >>> np.empty((2, 3)).shape
    (2, 3)
    """,
    "full": """``fill_value`` everywhere (``nd`` calls it ``val``), float32 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.full((2,), 7)
    array([7., 7.])
    """,
    "arange": """start, start + step, ... before ``stop``, from 0 if one number is given; each ``repeat`` times; float32 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np, nd
    >>> np.arange(3)
    array([0., 1., 2.])
    >>> np.arange(1, 7, 2)
    array([1., 3., 5.])
    >>> nd.arange(2, repeat=2).asnumpy().tolist()
    [0.0, 0.0, 1.0, 1.0]
    """,
    "linspace": """``num`` numbers at equal distances from ``start`` to ``stop``, which is one of them if ``endpoint``.

    >>> from gradflow.mxnet import np
    >>> np.linspace(0, 1, 3)
    array([0. , 0.5, 1. ])
    >>> np.linspace(0, 1, 2, endpoint=False)
    array([0. , 0.5])
    """,
    "logspace": """``base`` to the power of ``num`` numbers at equal distances from ``start`` to ``stop``.

    >>> from gradflow.mxnet import np
    >>> np.logspace(0, 2, 3)
    array([  1.,  10., 100.])
    """,
    "eye": """N rows and M columns (N by default) with ones on the diagonal ``k`` places to the right of the main one, else zeros.

    >>> from gradflow.mxnet import np
    >>> np.eye(2)
    array([[1., 0.],
           [0., 1.]])
    >>> np.eye(2, 3, k=1)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """,
    "identity": """The identity matrix of n rows, float32 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.identity(2)
    array([[1., 0.],
           [0., 1.]])
    """,
    "zeros_like": """Zeros of the shape of ``a``, and of its type unless ``dtype`` is given; without its gradient.

    >>> from gradflow.mxnet import np
    >>> np.zeros_like(np.array([1, 2]))
    array([0., 0.])
    """,
    "ones_like": """Ones of the shape of ``a``, and of its type unless ``dtype`` is given; without its gradient.

    >>> from gradflow.mxnet import np
    >>> np.ones_like(np.array([1, 2]))
    array([1., 1.])
    """,
    "full_like": """The second argument everywhere, in the shape of ``a``, and in its type unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.full_like(np.array([1, 2]), 5)
    array([5., 5.])
    """,
    "empty_like": """An array of the shape of ``a``, and of its type unless ``dtype`` is given, whose elements may be anything.

    >>> from gradflow.mxnet import np
    >>> np.empty_like(np.ones((2, 3))).shape
    (2, 3)
    """,
    "array": """

    >>> from gradflow.mxnet import np
    >>> np.array([1, 2])
    array([1., 2.])
    >>> np.array([1, 2], dtype="int32")
    array([1, 2], dtype=int32)
    """,
    "seed": """

    >>> from gradflow.mxnet import np
    >>> np.random.seed(1)
    >>> a = np.random.normal(size=2)
    >>> np.random.seed(1)
    >>> np.array_equal(a, np.random.normal(size=2))
    True
    """,
    "normal": """loc + scale z, z of the standard normal distribution: an array of shape ``size`` (``nd`` says ``shape``), by default that of the parameters.

    >>> from gradflow.mxnet import np, nd
    >>> np.random.normal(0, 1, size=(2, 3)).shape
    (2, 3)
    >>> nd.random.normal(shape=(2,)).shape
    (2,)
    """,
    "uniform": """low + (high - low) u, u uniform in [0, 1): an array of shape ``size`` (``nd`` says ``shape``), by default that of the parameters.

    >>> from gradflow.mxnet import np, nd
    >>> np.random.uniform(0, 1, size=(2, 3)).shape
    (2, 3)
    >>> nd.random.uniform(shape=(2,)).shape
    (2,)
    """,
    "rand": """Uniform numbers in [0, 1); the arguments are the sizes.

    >>> from gradflow.mxnet import np
    >>> np.random.rand(2, 3).shape
    (2, 3)
    """,
    "randn": """Numbers of the standard normal distribution; the arguments are the sizes.

    >>> from gradflow.mxnet import np
    >>> np.random.randn(2, 3).shape
    (2, 3)
    """,
    "randint": """Integers in [low, high), or in [0, low) if one number is given, int64 unless ``dtype`` is given.

    >>> from gradflow.mxnet import np
    >>> np.random.randint(5, 6, size=(2,)).asnumpy().tolist()
    [5, 5]
    """,
    "permutation": """0, ..., x - 1 in random order, or the rows of an array ``x`` in random order, as a new array.

    >>> from gradflow.mxnet import np
    >>> sorted(np.random.permutation(3).asnumpy().tolist())
    [0, 1, 2]
    """,
    "shuffle": """

    >>> from gradflow.mxnet import np
    >>> x = np.arange(3)
    >>> np.random.shuffle(x)
    >>> np.sort(x)
    array([0., 1., 2.])
    """,
    "choice": """Elements of ``a`` (of 0, ..., a - 1 for a number) at random with probabilities ``p``, more than once only if ``replace``.

    >>> from gradflow.mxnet import np
    >>> np.sort(np.random.choice(np.array([5, 6]), 2, replace=False))
    array([5., 6.])
    """,
}

EXTENSION = {
    "softmax": """exp(x) / Σ exp(x) along ``axis``, the last by default, of ``data / temperature``.

    >>> from gradflow.mxnet import np, npx
    >>> npx.softmax(np.array([0, 0]))
    array([0.5, 0.5])
    >>> npx.softmax(np.array([[1, 1], [2, 2]]), axis=0).shape
    (2, 2)
    """,
    "log_softmax": """x - log Σ exp(x) along ``axis``, the last by default, of ``data / temperature``.

    >>> from gradflow.mxnet import np, npx
    >>> np.exp(npx.log_softmax(np.array([3, 3])))
    array([0.5, 0.5])
    """,
    "batch_flatten": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.batch_flatten(np.ones((2, 3, 4))).shape
    (2, 12)
    """,
    "gamma": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.gamma(np.array([5.0])).round()
    array([24.])
    """,
    "activation": """The function called ``act_type``: relu, sigmoid, tanh, softrelu (log(1 + exp(x))), softsign, log_sigmoid or mish.

    >>> from gradflow.mxnet import np, npx
    >>> npx.activation(np.array([-1, 2]), act_type="relu")
    array([0., 2.])
    """,
    "leaky_relu": """x above 0; below it ``slope`` x ('leaky', 0.25 by default), ``gamma`` x ('prelu') or the curve of 'elu', 'selu' or 'gelu'.

    >>> from gradflow.mxnet import np, npx
    >>> npx.leaky_relu(np.array([-2, 2]))
    array([-0.5,  2. ])
    >>> npx.leaky_relu(np.array([-2, 2]), np.array([0.5]), act_type="prelu")
    array([-1.,  2.])
    """,
    "one_hot": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.one_hot(np.array([1, 0, 5]), 3)
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 0., 0.]])
    """,
    "pick": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.pick(np.array([[1, 2], [3, 4]]), np.array([1, 0]))
    array([2., 3.])
    """,
    "topk": """The ``k`` greatest along ``axis`` (the smallest if ``is_ascend``): their indices as ``dtype``, their 'value', 'both', or a 'mask' of ones, by ``ret_typ``.

    >>> from gradflow.mxnet import np, npx
    >>> x = np.array([1, 3, 2])
    >>> npx.topk(x, k=2)
    array([1., 2.])
    >>> npx.topk(x, k=2, ret_typ="value")
    array([3., 2.])
    >>> npx.topk(x, k=2, ret_typ="mask")
    array([0., 1., 1.])
    """,
    "fully_connected": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.fully_connected(np.array([[1, 2]]), np.array([[3, 4]]), np.array([5]), num_hidden=1)
    array([[16.]])
    """,
    "embedding": """The rows of ``weight`` at the indices ``data``; an index outside is that of the nearest row.

    >>> from gradflow.mxnet import np, npx
    >>> npx.embedding(np.array([1, 0, 7]), np.array([[1, 2], [3, 4]]), 2, 2)
    array([[3., 4.],
           [1., 2.],
           [3., 4.]])
    """,
    "dropout": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.dropout(np.ones(3))
    array([1., 1., 1.])
    >>> npx.dropout(np.ones(3), p=0.0, mode="always")
    array([1., 1., 1.])
    """,
    "layer_norm": """(x - mean) / √(var + eps) along ``axis``, times ``gamma``, plus ``beta``.

    >>> from gradflow.mxnet import np, npx
    >>> npx.layer_norm(np.array([[1, 3]]), np.ones(2), np.zeros(2)).round()
    array([[-1.,  1.]])
    """,
    "convolution": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.convolution(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), kernel=(2, 2), num_filter=1, no_bias=True)
    array([[[[4., 4.],
             [4., 4.]]]])
    """,
    "pooling": """

    >>> from gradflow.mxnet import np, npx
    >>> x = np.arange(4).reshape(1, 1, 4)
    >>> npx.pooling(x, kernel=(2,), stride=(2,))
    array([[[1., 3.]]])
    >>> npx.pooling(x, pool_type="avg", global_pool=True)
    array([[[1.5]]])
    """,
    "batch_norm": """

    >>> from gradflow.mxnet import np, npx
    >>> one, zero = np.ones(1), np.zeros(1)
    >>> npx.batch_norm(np.array([[1], [3]]), one, zero, zero, one, eps=0.0)
    array([[1.],
           [3.]])
    """,
    "batch_dot": """The matrix product of each pair of matrices in two batches; ``transpose_a`` and ``transpose_b`` exchange their last two axes first.

    >>> from gradflow.mxnet import np, npx
    >>> npx.batch_dot(np.ones((2, 1, 3)), np.ones((2, 1, 3)), transpose_b=True).shape
    (2, 1, 1)
    """,
    "smooth_l1": """(σx)² / 2 where |x| < 1 / σ², else |x| - 1 / (2σ²), where σ is ``scalar``.

    >>> from gradflow.mxnet import np, npx
    >>> npx.smooth_l1(np.array([0.5, 3]))
    array([0.125, 2.5  ])
    """,
    "sequence_mask": """

    >>> from gradflow.mxnet import np, npx
    >>> npx.sequence_mask(np.ones((3, 2)), np.array([1, 3]), use_sequence_length=True)
    array([[1., 1.],
           [0., 1.],
           [0., 1.]])
    """,
    "reshape_like": """The elements of ``lhs`` in the shape of ``rhs``.

    >>> from gradflow.mxnet import np, npx
    >>> npx.reshape_like(np.arange(4), np.ones((2, 2)))
    array([[0., 1.],
           [2., 3.]])
    """,
    "arange_like": """start, start + step, ... in the shape of ``data``, or as many as its ``axis`` is long.

    >>> from gradflow.mxnet import np, npx
    >>> npx.arange_like(np.ones((2, 3)))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    >>> npx.arange_like(np.ones((2, 3)), axis=0)
    array([0., 1.])
    """,
    "gather_nd": """The elements of ``data`` whose indices are the columns of ``indices``: its row i is for axis i.

    >>> from gradflow.mxnet import np, npx
    >>> npx.gather_nd(np.array([[1, 2], [3, 4]]), np.array([[0, 1], [1, 0]]))
    array([2., 3.])
    """,
}

CLASSIC = {
    "sum": """Σx over all elements or over ``axis``: over all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.sum(x).asnumpy().tolist()
    [10.0]
    >>> nd.sum(x, axis=0, exclude=True).asnumpy().tolist()
    [3.0, 7.0]
    """,
    "mean": """Σx / n over all elements or over ``axis``: over all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.mean(x).asnumpy().tolist()
    [2.5]
    >>> nd.mean(x, axis=0).asnumpy().tolist()
    [2.0, 3.0]
    """,
    "prod": """The product over all elements or over ``axis``: over all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.prod(x, axis=1).asnumpy().tolist()
    [2.0, 12.0]
    """,
    "max": """The greatest of all elements or along ``axis``: along all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.max(x, axis=1).asnumpy().tolist()
    [2.0, 4.0]
    """,
    "min": """The smallest of all elements or along ``axis``: along all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.min(x, axis=1).asnumpy().tolist()
    [1.0, 3.0]
    """,
    "nansum": """Σx over all elements or over ``axis``, with nan as 0: over all axes but these if ``exclude``.

    >>> from gradflow.mxnet import nd
    >>> nd.nansum(nd.array([1, float("nan"), 2])).asnumpy().tolist()
    [3.0]
    """,
    "argmax": """The index of the greatest element along ``axis``, as float32; of all, flattened, by default.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.argmax(x, axis=1).asnumpy().tolist()
    [1.0, 1.0]
    """,
    "argmin": """The index of the smallest element along ``axis``, as float32; of all, flattened, by default.

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.argmin(x, axis=1).asnumpy().tolist()
    [0.0, 0.0]
    """,
    "concat": """

    >>> from gradflow.mxnet import nd
    >>> nd.concat(nd.ones((2, 1)), nd.zeros((2, 2))).asnumpy().tolist()
    [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """,
    "stack": """The arrays side by side along a new ``axis``; they are arguments, or one list.

    >>> from gradflow.mxnet import nd
    >>> nd.stack(nd.ones((2,)), nd.zeros((2,)), axis=1).asnumpy().tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """,
    "norm": """(Σ|x|^ord)^(1 / ord) over all elements or over ``axis``.

    >>> from gradflow.mxnet import nd
    >>> nd.norm(nd.array([3, 4])).asnumpy().tolist()
    [5.0]
    """,
    "slice_axis": """The elements from ``begin`` up to ``end`` (``None``: the last) along ``axis``.

    >>> from gradflow.mxnet import nd
    >>> nd.slice_axis(nd.arange(5), axis=0, begin=1, end=3).asnumpy().tolist()
    [1.0, 2.0]
    """,
    "split": """``num_outputs`` equal parts along ``axis``, 1 by default: a list, or one array if that is one; without the axis if ``squeeze_axis``.

    >>> from gradflow.mxnet import nd
    >>> [p.shape for p in nd.split(nd.ones((2, 4)), 2)]
    [(2, 2), (2, 2)]
    >>> [p.shape for p in nd.split(nd.ones((2, 2)), 2, squeeze_axis=True)]
    [(2,), (2,)]
    """,
    "add_n": """The sum of several arrays; they are arguments, or one list.

    >>> from gradflow.mxnet import nd
    >>> nd.add_n(nd.ones((2,)), nd.ones((2,)), nd.ones((2,))).asnumpy().tolist()
    [3.0, 3.0]
    """,
    "dot": """

    >>> from gradflow.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> nd.dot(x, x).asnumpy().tolist()
    [[7.0, 10.0], [15.0, 22.0]]
    >>> nd.dot(x, x, transpose_b=True).asnumpy().tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """,
    "reshape": """ 0 keeps a size, -1 is inferred, -2 keeps all that are left, -3 joins two, -4 divides one into the next two.

    >>> from gradflow.mxnet import nd
    >>> nd.reshape(nd.ones((2, 3, 4)), (0, -1)).shape
    (2, 12)
    >>> nd.reshape(nd.ones((2, 3, 4)), (-3, 0)).shape
    (6, 4)
    """,
}
