"""Recording of graphs on the emulated device: what CUDA records, refuses and replays. Who forgets that memory must stay is found out.

A job of a graph knows the blocks of memory that it was given; when it is run and one of them is gone, or is somebody else's by now, it fails.
"""

import ctypes
import re
import threading
import weakref

REFUSED = "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
SIZES = {"gf::int64": 8, "double": 8, "float": 4, "unsigned": 4, "gf::int32": 4, "int": 4, "gf::uint32": 4, "bool": 1, "gf::bool8": 1}
INDEX = {"gf::int32": 4, "gf::int64": 8}


class CaptureError(RuntimeError):
    """What CUDA says."""


def parameters_of(name, text):
    """(bytes, is it a pointer) of each of a kernel's parameters."""
    found = []
    for line in re.search(rf"{name}\((.*?)\) {{", text, re.S).group(1).split(",\n"):
        kind = re.sub(r"const|__grid_constant__|__restrict__|\w+$", "", line.strip()).strip()
        layout = re.fullmatch(r"gf::(Layout|Place)<([\w:]+), (\d+)>", kind)
        if layout:
            step, n = INDEX[layout[2]], int(layout[3])
            found.append((step * n if layout[1] == "Place" else step * (1 + 8 + 8 * n), False))
        else:
            found.append((8, True) if kind.endswith("*") else (SIZES[kind], False))
    return found


def kept_parameters(name, text, address):
    """(an array of pointers to copies of a launch's parameters, the addresses among them, what keeps them)"""
    kinds = parameters_of(name, text)
    given = (ctypes.c_void_p * len(kinds)).from_address(address)
    copies = [ctypes.create_string_buffer(ctypes.string_at(p, size), size) for p, (size, _) in zip(given, kinds, strict=True)]
    addresses = [int.from_bytes(c.raw, "little") for c, (_, pointer) in zip(copies, kinds, strict=True) if pointer]
    array = (ctypes.c_void_p * len(kinds))(*map(ctypes.addressof, copies))
    return array, addresses, copies


class Pool:
    """Memory for graphs alone. A block that was given back within a capture is given again."""

    def __init__(self):
        self.blocks, self.free = [], {}

    def take(self, nbytes, make):
        free = self.free.get(nbytes)
        if free:
            return free.pop()
        self.blocks.append(make(nbytes))
        return self.blocks[-1]

    def give(self, block, nbytes):
        self.free.setdefault(nbytes, []).append(block)


class Graph:
    def __init__(self, jobs):
        self.jobs = jobs
        self.launched = 0

    def launch(self):
        for name, _, blocks in self.jobs:
            gone = [b for b in blocks if b() is None]
            assert not gone, f"{name}: the graph uses memory that was given back"
        for _, job, _ in self.jobs:
            job()
        self.launched += 1


class Capture:
    """What a thread records."""

    def __init__(self, driver, stream, pool, mode):
        self.driver, self.origin, self.pool, self.mode = driver, stream, pool, mode
        self.thread = threading.get_ident()
        self.asked = {stream: 0}  # of each stream that is recorded how often it was asked for something
        self.joined = {}  # how far the others had come when one waited for them
        self.jobs, self.broken = [], False

    def add(self, name, job, stream, addresses):
        self.asked[stream] += 1
        self.jobs.append((name, job, [weakref.ref(b) for a in addresses if a and (b := self.driver.block_at(a)) is not None]))

    def refuse(self):
        self.broken = True
        raise CaptureError(REFUSED)


class Capturing:
    """The part of the emulated driver that records."""

    capture = None

    def new_pool(self):
        return Pool()

    def recording(self, stream):
        """The capture that a stream's work belongs to."""
        return self.capture if self.capture is not None and stream in self.capture.asked else None

    def unsafe(self, stream=None):
        """What no stream that is recorded can be asked, nor anything by a thread that records."""
        c = self.capture
        if c is not None and (stream in c.asked or (c.mode != "relaxed" and (c.mode == "global" or c.thread == threading.get_ident()))):
            c.refuse()

    def begin_capture(self, pool, mode, device):
        stream = self.currents[device]
        assert stream.ptr and self.capture is None and mode in ("global", "thread_local", "relaxed")
        self.capture = Capture(self, stream, pool, mode)

    def end_capture(self, device):
        c, self.capture = self.capture, None
        if c.broken:
            raise CaptureError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture")
        if any(c.joined.get(s) != n for s, n in c.asked.items() if s is not c.origin):
            raise CaptureError("cudaErrorStreamCaptureUnjoined: capturing stream has unjoined work")
        graph = Graph(c.jobs)
        self.graphs.append(graph)
        return graph

    def is_capturing(self, device):
        return self.recording(self.currents[device]) is not None

    def launch_graph(self, graph, device):
        self.currents[device].finish()
        self.graph_launches += 1
        if self.collected is None:
            graph.launch()

    def block_at(self, address):
        """The device's memory at an address."""
        for block in self.blocks:
            if block.address <= address - (1 << 62) < block.address + max(block.nbytes, 1):
                return block
        raise AssertionError(f"no memory of the device is at {address:#x}")

    def do(self, name, job, device, addresses=()):
        """Now, or whenever the graph is run."""
        stream = self.currents[device]
        c = self.recording(stream)
        if c is not None:
            c.add(name, job, stream, addresses)
        else:
            stream.finish()
            job()
