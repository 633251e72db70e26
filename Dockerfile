# An image with gradflow and its CUDA backend:
#     docker build -t gradflow .
#     docker run --rm --gpus all gradflow
# For the CPU alone, on any Debian or Ubuntu:
#     docker build -t gradflow --build-arg BASE_IMAGE=debian:trixie-slim --build-arg EXTRAS=examples .
#     docker run --rm gradflow
# The tests, and the speed beside PyTorch's:
#     docker build -t gradflow-test --target test .
#     docker run --rm --gpus all gradflow-test
#     docker build -t gradflow-bench --target bench .
#     docker run --rm --gpus all gradflow-bench

ARG BASE_IMAGE=nvidia/cuda:13.0.1-runtime-ubuntu24.04

FROM ${BASE_IMAGE} AS python
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 gradflow

FROM python AS source
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN chown -R gradflow /src

FROM source AS wheel
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir "build==1.6.1" \
    && /opt/build/bin/python -m build --wheel --outdir /wheels .

FROM source AS test
USER 10001
RUN make .venv/.installed-test
CMD ["make", "test"]

FROM source AS bench
USER 10001
RUN make .venv/.installed-bench
CMD ["make", "bench"]

# The last stage is what `docker build` makes: no compiler, and no files but the wheel's.
FROM python AS gradflow
ARG EXTRAS=cuda13,examples
COPY --from=wheel /wheels /wheels
RUN python3 -m venv /opt/gradflow \
    && /opt/gradflow/bin/pip install --no-cache-dir "$(ls /wheels/*.whl)[${EXTRAS}]" \
    && rm -rf /wheels
COPY examples /home/gradflow/examples
RUN chown -R gradflow /home/gradflow
ENV PATH=/opt/gradflow/bin:$PATH
USER 10001
WORKDIR /home/gradflow
CMD ["sh", "-c", "python -m gradflow doctor; python examples/digits.py"]
