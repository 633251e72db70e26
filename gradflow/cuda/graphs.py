"""Graphs: work that is recorded once and run again with one call, on the same memory."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

from ..errors import DeviceError, DTypeError
from .devices import backend, started, synchronize
from .memory import empty_cache
from .streams import Stream, stream

handles = itertools.count(1)
streams: dict[tuple[int, int], Stream] = {}  # on which graphs are captured, by driver and device
pools: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()  # of the handles whose graphs are there


def graph_pool_handle() -> tuple[int, int]:
    """The name of a pool of memory, for graphs that may share it: those that are always run in the order in which they were captured.

    >>> pool = gf.cuda.graph_pool_handle()
    """
    return 0, next(handles)


def is_current_stream_capturing() -> bool:
    """Is what the current stream is asked for being recorded?

    >>> gf.cuda.is_current_stream_capturing()
    False
    """
    driver = started()
    return driver is not None and driver.is_capturing(driver.current_device())


class CUDAGraph:
    """Work of a device, recorded by :class:`graph` and run again by :meth:`replay`, as often as wanted, by one call of the driver.

    A replay reads and writes the memory of the capture: new data is copied into the tensors that were read, results are found in those that
    were made. Memory that was asked for within the capture stays the graph's. Random numbers are new in every replay.
    The graph is ready to run when its capture ends; ``keep_graph`` is taken for PyTorch's sake.

    >>> def recorded(model, x):
    ...     g = gf.cuda.CUDAGraph()
    ...     with gf.cuda.graph(g):
    ...         y = model(x)
    ...     x.copy_(gf.ones_like(x))
    ...     g.replay()
    ...     return y
    """

    def __init__(self, keep_graph: bool = False):
        self.keep_graph = keep_graph
        self._handle: Any = None
        self._graph: Any = None
        self._ready = False

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """Record what the current stream is asked for. :class:`graph` does this, on a stream of its own."""
        if self._graph is not None:
            raise DeviceError(
                "capture_begin: This CUDAGraph instance already owns a captured graph. To capture a new graph, create a new instance, or reset() "
                "this one"
            )
        if pool is not None and not (isinstance(pool, tuple) and len(pool) == 2):
            raise DTypeError(f"capture_begin: pool must come from graph_pool_handle() or a graph's pool(), not be {type(pool).__name__}")
        driver = backend()
        from ..backends.cuda.recording import Graph

        handle = graph_pool_handle() if pool is None else pool
        memory = pools.get(handle)
        if memory is None:
            memory = pools[handle] = driver.new_pool()
        graph = Graph(memory)
        graph.begin(capture_error_mode)
        self._handle, self._graph = handle, graph

    def capture_end(self) -> None:
        """What has been asked for is the graph."""
        if self._graph is None or self._ready:
            raise DeviceError("capture_end: nothing is being captured; call capture_begin first")
        try:
            self._graph.end()
            self._ready = True
        finally:
            if not self._ready:
                self.reset()

    def instantiate(self) -> None:
        """Nothing: the graph is ready to run when its capture ends."""
        self._recorded("instantiate")

    def replay(self) -> None:
        """Run the graph on the current stream."""
        self._recorded("replay").run()

    def reset(self) -> None:
        """Forget the graph. Its memory goes back when the tensors in it, and the graphs that share its pool, are gone."""
        self._graph = self._handle = None
        self._ready = False

    def pool(self) -> tuple[int, int]:
        """The name of the graph's pool of memory, which others may share: see :func:`graph_pool_handle`."""
        self._recorded("pool")
        return self._handle

    def register_generator_state(self, generator: Any) -> None:
        """Nothing: every generator that numbers are drawn from is the graph's, too."""

    def _recorded(self, what: str) -> Any:
        if not self._ready:
            raise DeviceError(f"Called CUDAGraph::{what} without a preceding successful capture.")
        return self._graph


class graph:
    """``with cuda.graph(g):`` what is asked of the device is recorded as ``g``, not done.

    It goes to ``stream``, else to one of its own. ``pool``, from :func:`graph_pool_handle` or another graph, is where memory comes from;
    ``capture_error_mode`` is CUDA's: what is refused within other threads meanwhile. Before, everything that is recorded ought to have been run
    once or more on a stream other than the default one, so that kernels are compiled and optimizers have their state.

    Refused within: everything that the host must wait for (``item``, ``cpu``, a tensor as a condition, ``nonzero``, functions that are computed
    on the host), and steps of optimizers that count by themselves, without ``capturable=True``.

    >>> def recorded(step):
    ...     g = gf.cuda.CUDAGraph()
    ...     with gf.cuda.graph(g):
    ...         step()
    ...     return g
    """

    def __init__(self, cuda_graph: Any, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"):
        if not isinstance(cuda_graph, CUDAGraph):
            raise DTypeError(f"graph: expected a CUDAGraph, not {type(cuda_graph).__name__}")
        self.cuda_graph, self.pool, self.stream, self.capture_error_mode = cuda_graph, pool, stream, capture_error_mode

    def __enter__(self) -> None:
        synchronize()
        empty_cache()
        self._within = stream(self.stream or self._own())
        self._within.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self._within.__exit__()
            raise

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            self.cuda_graph.capture_end()
        except Exception:
            if kind is None:  # else the error that came first is told
                raise
        finally:
            self._within.__exit__()
        if kind is not None:
            self.cuda_graph.reset()

    @staticmethod
    def _own() -> Stream:
        """A stream for captures, of the device in use."""
        key = id(backend()), backend().current_device()
        return streams.get(key) or streams.setdefault(key, Stream())


def make_graphed_callables(
    callables: Any, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> Any:
    """Functions or modules whose forward pass, and whose backward pass, is a graph each; for the rest of a program they are as they were.

    ``callables`` is one, or a tuple in the order in which they will be called, and ``sample_args`` a tuple of tensors for each, of the shapes and
    with the ``requires_grad`` of the later arguments. A module's forward is replaced while it is in the mode, training or not, that it is in now.
    There are no second derivatives. Results are overwritten by the next call.

    >>> def faster(model, x):
    ...     return gf.cuda.make_graphed_callables(model, (x,))
    """
    from .graphed import make

    return make(callables, sample_args, num_warmup_iters, allow_unused_input, pool)
