"""Builds gradflow._ext. Everything else about the package stands in pyproject.toml.

python setup.py build_ext --inplace     for development; recompiles only what has changed
GRADFLOW_SANITIZE=1 ...                 with AddressSanitizer and UndefinedBehaviorSanitizer
GRADFLOW_OBJECTS=folder ...             where compiled files are kept; build/objects beside this file unless it says so
"""

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    import scipy_openblas32
except ImportError:
    scipy_openblas32 = None

HERE = Path(__file__).resolve().parent
SANITIZE = os.environ.get("GRADFLOW_SANITIZE") == "1"
X86 = platform.machine() in ("x86_64", "AMD64")

# Files of tile loops are compiled once per instruction set; which one runs is decided at import.
LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
if not X86 or SANITIZE:
    LEVELS = {"generic": []}

WARNINGS = ["-Wall", "-Wextra", "-Werror=return-type"]
FLAGS = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", *WARNINGS]
if SANITIZE:
    FLAGS += ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
else:
    FLAGS += ["-O3", "-DNDEBUG"]
# nan and inf are honoured; only the exception flags and errno, which nobody reads, are given up; no vector crosses a call
KERNEL_FLAGS = ["-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd", "-fno-split-loops", "-Wno-psabi"]


def is_kernel(source: Path) -> bool:
    return source.name.startswith("kernels_")


class BuildExtension(build_ext):
    """Compiles in parallel, and only what is newer than its object: a source, or a header of ours that it includes."""

    def run(self):
        self.stays_here = self.inplace or self.editable_mode
        super().run()

    def build_extension(self, ext):
        compiler = (os.environ.get("CXX") or "g++").split()
        # Not self.build_temp: pip gives an editable build a fresh directory each time.
        kept = Path(os.environ.get("GRADFLOW_OBJECTS") or HERE / "build/objects")
        objects = kept / f"{sys.implementation.cache_tag}-{'sanitize' if SANITIZE else 'release'}"
        objects.mkdir(parents=True, exist_ok=True)
        include = [*ext.include_dirs, numpy.get_include(), pybind11.get_include()]
        include += [self.compiler.include_dirs] if isinstance(self.compiler.include_dirs, str) else self.compiler.include_dirs
        flags = [*FLAGS, *(f"-I{d}" for d in include), *os.environ.get("CXXFLAGS", "").split()]
        if len(LEVELS) > 1:
            flags.append("-DGF_X86_LEVELS")
        if scipy_openblas32 is None:
            flags.append("-DGF_NO_BLAS")
            print("gradflow: WARNING: without scipy-openblas32 products of matrices on the CPU are plain loops", file=sys.stderr)
        else:
            flags.append(f"-I{scipy_openblas32.get_include_dir()}")

        jobs = []
        for source in sorted((HERE / "csrc").glob("*.cpp")):
            for level, extra in LEVELS.items() if is_kernel(source) else [("", [])]:
                target = objects / f"{source.stem}{'_' + level if level else ''}.o"
                command = [*compiler, *flags]
                if level:
                    command += [*KERNEL_FLAGS, *extra, f"-DGF_ISA={level}"]
                jobs.append((source, target, [*command, "-MMD", "-c", str(source), "-o", str(target)]))

        def recipe(command):
            # An isolated build has its packages in a new place each time, and a source archive its files; what they are is what matters.
            text = "\n".join([*command, numpy.__version__, pybind11.__version__, getattr(scipy_openblas32, "__version__", "")])
            for place in (Path(pybind11.__file__).parent.parent, sys.prefix, kept, HERE):
                text = text.replace(str(place), "")
            return text

        def stale(source, target, command):
            record, included = target.with_suffix(".cmd"), target.with_suffix(".d")
            if not (target.exists() and record.exists() and included.exists()) or record.read_text() != recipe(command):
                return True
            ours = [Path(name) for name in shlex.split(included.read_text().replace("\\\n", " "))[1:] if name.startswith(str(HERE))]
            if source not in ours:  # compiled in another folder, from which this one was copied
                return True
            return any(not p.exists() or p.stat().st_mtime > target.stat().st_mtime for p in ours)

        def compile_one(job):
            _, target, command = job
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode == 0:
                target.with_suffix(".cmd").write_text(recipe(command))
            return job, result

        waiting = [job for job in jobs if stale(*job)]
        waiting.sort(key=lambda job: not is_kernel(job[0]))  # the long ones first
        failed = False
        with ThreadPoolExecutor(self.parallel or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2) as pool:
            for (source, _, _), result in pool.map(compile_one, waiting):
                print(f"compiled {source.name}" if result.returncode == 0 else f"failed {source.name}", flush=True)
                sys.stderr.write(result.stderr)
                failed |= result.returncode != 0
        if failed:
            raise SystemExit("gradflow: the extension did not compile")

        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        link = [*compiler, "-shared", "-pthread", *(str(target) for _, target, _ in jobs), "-o", f"{library}.new"]
        if SANITIZE:
            link.append("-fsanitize=address,undefined")
        if scipy_openblas32 is not None:
            directory = scipy_openblas32.get_lib_dir()
            link += [f"-L{directory}", f"-l{scipy_openblas32.get_library()}", "-Wl,-rpath,$ORIGIN/../scipy_openblas32/lib"]
            if self.stays_here:
                # An isolated build's own packages are gone afterwards; those of the environment stay.
                link.append(f"-Wl,-rpath,{sysconfig.get_path('platlib')}/scipy_openblas32/lib:{directory}")
        link += os.environ.get("LDFLAGS", "").split()
        subprocess.run(link, check=True)
        os.replace(f"{library}.new", library)


setup(
    ext_modules=[Extension("gradflow._ext", [], include_dirs=[str(HERE / "gradflow/include"), str(HERE / "csrc")])],
    cmdclass={"build_ext": BuildExtension},
)
