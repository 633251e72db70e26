"""Graphs of kernels, recorded once and run again: not supported, and why."""

from __future__ import annotations

from typing import Any, NoReturn


def refused(op: str) -> NoReturn:
    raise NotImplementedError(
        f"cuda.{op}: graphs cannot be captured: CuPy, through which cuBLAS is called, refuses its calls within a capture, and its pool may give memory "
        "that a graph uses to others; run the calls as they are (one that comes again compiles nothing and makes one launch)"
    )


class CUDAGraph:
    """A recorded graph; not supported, as CuPy refuses products of matrices within one.

    >>> gf.cuda.CUDAGraph()
    Traceback (most recent call last):
        ...
    NotImplementedError: cuda.CUDAGraph: graphs cannot be captured: ...
    """

    def __init__(self, keep_graph: bool = False):
        refused("CUDAGraph")


class graph:
    """What records a :class:`CUDAGraph`; not supported.

    >>> gf.cuda.graph(None)
    Traceback (most recent call last):
        ...
    NotImplementedError: cuda.graph: graphs cannot be captured: ...
    """

    def __init__(self, cuda_graph: Any, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"):
        refused("graph")


def make_graphed_callables(
    callables: Any, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> Any:
    """Functions or modules as recorded graphs; not supported.

    >>> gf.cuda.make_graphed_callables(gf.relu, (gf.ones(2),))
    Traceback (most recent call last):
        ...
    NotImplementedError: cuda.make_graphed_callables: graphs cannot be captured: ...
    """
    refused("make_graphed_callables")


def graph_pool_handle() -> Any:
    """The name of a pool for graphs; not supported.

    >>> gf.cuda.graph_pool_handle()
    Traceback (most recent call last):
        ...
    NotImplementedError: cuda.graph_pool_handle: graphs cannot be captured: ...
    """
    refused("graph_pool_handle")
