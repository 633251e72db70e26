"""What comes to the host, on the emulated device: every operation at its expression, and how many bytes of its tensors are copied there."""

import re
import shutil
import signal

import numpy as np
import pytest
from cuda_driver import Driver
from test_cuda_operations import TEXTS, outcome

from gradflow.backends import cuda
from gradflow.backends.cuda import array

A_FEW = 24  # bytes: how many there are, or what a kernel reports
# Computed on the host, as docs/hardware.md says; and what is for Python.
HOSTED = re.compile(
    r"torch\.(linalg\.)?(cholesky|cond|det\(|eig|geqrf|inv|ldl|logdet|lstsq|lu|matrix_(exp|rank)|pinv|qr|slogdet|solve|svd|tensor(inv|solve)|triangular_solve)"
    r"|lowrank|ctc_loss|frexp|gcd|lcm|nextafter|tolist|_polynomial_"
)


@pytest.fixture
def copied():
    """The sizes of what is copied to the host. Nothing is computed."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    driver, sizes = Driver(), []
    copy = driver.to_host
    driver.to_host = lambda host, source, nbytes, *rest: (sizes.append(nbytes), copy(host, source, nbytes, *rest))
    driver.collected = {}
    cuda.use(driver)
    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    with np.errstate(all="ignore"):
        yield sizes
    signal.signal(signal.SIGVTALRM, before)
    array.driver = None


@pytest.mark.filterwarnings("ignore")
def test_what_is_computed_on_the_host(copied):
    wrong = []
    for text in TEXTS:
        copied.clear()
        signal.setitimer(signal.ITIMER_VIRTUAL, 20)  # what is computed means nothing, and may not end
        try:
            outcome(text, "float32", "dense", "cuda")
        except KeyboardInterrupt:
            wrong.append((text, "does not end"))
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        most = max(copied, default=0)
        if (most > A_FEW) != (HOSTED.search(text) is not None):
            wrong.append((text, most))
    assert not wrong
