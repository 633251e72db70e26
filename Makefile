# make demo | test | bench | lint | format | sanitize | wheel-check | gpu-check | clean
# Everything lives in .venv and build/; a stamp per extra keeps repeated calls from installing again.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUILD_INPUTS := pyproject.toml setup.py $(shell find csrc gradflow/include -type f)
CPP_FILES = $(shell find csrc gradflow/include -name '*.cpp' -o -name '*.h')
PYTEST_ARGS ?= -n auto --dist worksteal
BENCH_ARGS ?=
# Tests that reach C++ in a way of their own: every kernel and its arguments, the pool, tensors and nodes, views and changes in place, wrong
# calls, random and whole programs, the text of the CUDA kernels. The others call what these call.
SANITIZE_TESTS ?= $(wildcard $(addprefix tests/test_, $(addsuffix *.py, acceptance autograd_f autograd_graph autograd_in compiled cuda_ direct \
    depth errors formulas inference kernels linalg optim out platform process programs random_programs safe selecti space special tape vmap writing)))
WHEEL_CHECK := $(CURDIR)/build/wheel-check

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test bench lint format sanitize wheel-check gpu-check venv clean
.DELETE_ON_ERROR:

venv: $(BIN)/python

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: $(BUILD_INPUTS) | $(BIN)/python
	$(BIN)/pip install -q -e ".[$*]"
	@touch $@

# The tools do not depend on the extension: editing C++ does not install them anew.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install -q -e ".[test,dev]"
	@touch $@ $(VENV)/.installed-test

demo: $(VENV)/.installed-examples
	$(BIN)/python examples/digits.py

test: $(VENV)/.installed-test
	$(BIN)/pytest -q $(PYTEST_ARGS)

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP_FILES)
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP_FILES)

# A second build of the extension, with AddressSanitizer and UndefinedBehaviorSanitizer, in a directory that stands before
# the installed package on the path. CPython leaks at exit by design, so leaks are not counted.
SANITIZE_LIB := $(CURDIR)/build/sanitize/lib
sanitize: $(VENV)/.installed-test
	GRADFLOW_SANITIZE=1 $(BIN)/pip install -q --no-deps --upgrade --target $(SANITIZE_LIB) \
	    -C--global-option=build -C--global-option=--build-base=build/sanitize .
	LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 PYTHONMALLOC=malloc GRADFLOW_SANITIZED=1 \
	LD_LIBRARY_PATH="$$($(BIN)/python -c 'import scipy_openblas32 as blas; print(blas.get_lib_dir())')" \
	PYTHONPATH=$(SANITIZE_LIB) $(BIN)/pytest -q $(PYTEST_ARGS) -p no:cacheprovider -m "not torch and not nvrtc" $(SANITIZE_TESTS)

# sdist -> wheel -> empty environment -> smoke test from a directory that is not the source tree. The sdist has every file; those that are
# compiled already are not compiled again.
wheel-check: $(VENV)/.installed-dev $(VENV)/.installed-test
	rm -rf $(WHEEL_CHECK)
	GRADFLOW_OBJECTS=$(CURDIR)/build/objects $(BIN)/python -m build -q -o $(WHEEL_CHECK)/dist .
	tar -xzf $(WHEEL_CHECK)/dist/*.tar.gz -C $(WHEEL_CHECK) --strip-components=1 --one-top-level=sdist
	set -e; for folder in csrc gradflow tests; do diff -r -x '*.so' -x __pycache__ $$folder $(WHEEL_CHECK)/sdist/$$folder; done
	$(PYTHON) -m venv $(WHEEL_CHECK)/venv
	$(WHEEL_CHECK)/venv/bin/pip install -q $(WHEEL_CHECK)/dist/*.whl
	cp .ci/smoke.py $(WHEEL_CHECK)/
	cd $(WHEEL_CHECK) && venv/bin/python -I smoke.py && venv/bin/python -I -m gradflow info

# On a machine with a GPU: its tests and its speed, in one file. No network, nothing installed; PYTHON has what .ci/gpu-check names.
gpu-check:
	PYTHON="$(PYTHON)" .ci/gpu-check

clean:
	rm -rf $(VENV) build dist out *.egg-info
	find gradflow -name '*.so' -delete
