"""``torch.hub``'s downloads of parameters. Models of others' repositories are not fetched and run."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.parse
import urllib.request
from typing import Any

from .serialization import SerializationError
from .serialization import load as _load

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

_directory: str | None = None


def get_dir() -> str:
    """Where downloads are kept: what `set_dir` said, ``$GRADFLOW_HOME/hub``, or ``~/.cache/gradflow/hub``.

    >>> import os
    >>> os.path.basename(gf.hub.get_dir())
    'hub'
    """
    if _directory is not None:
        return _directory
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    return os.path.join(os.path.expanduser(os.environ.get("GRADFLOW_HOME", os.path.join(cache, "gradflow"))), "hub")


def set_dir(d: str | os.PathLike) -> None:
    """Keep downloads in this directory."""
    global _directory
    _directory = os.path.expanduser(os.fspath(d))


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Write what is at `url` to the file `dst`; the file is there only once it is complete and its SHA-256 begins with `hash_prefix`.

    No progress is shown. Raises RuntimeError for another hash, URLError where nothing can be read.
    """
    place = os.path.dirname(os.path.abspath(dst))
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place, delete=False) as file:
        try:
            with urllib.request.urlopen(url) as source:  # nosec: the user's address
                while block := source.read(1 << 16):
                    file.write(block)
                    digest.update(block)
            file.close()
            if hash_prefix and not digest.hexdigest().startswith(hash_prefix):
                raise SerializationError(
                    f'hub: invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}"); nothing was kept'
                )
            os.replace(file.name, dst)
        finally:
            file.close()
            if os.path.exists(file.name):
                os.remove(file.name)


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """What :func:`load` reads from the file at `url`, which is downloaded unless it is in `model_dir` already.

    With `check_hash` the file's name must end in a hyphen and the beginning of its SHA-256, as ``resnet18-f37072fd.safetensors`` does. Files
    are safetensors: what PyTorch pickled is refused by `load`.

    >>> import tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> gf.save({"w": gf.ones(2)}, os.path.join(folder, "w.safetensors"))
    >>> gf.hub.load_state_dict_from_url("https://example.org/w.safetensors", folder)
    {'w': tensor([1., 1.])}
    """
    place = os.path.join(get_dir(), "checkpoints") if model_dir is None else os.fspath(model_dir)
    os.makedirs(place, exist_ok=True)
    name = file_name or os.path.basename(urllib.parse.urlparse(url).path)
    path = os.path.join(place, name)
    if not os.path.exists(path):
        found = re.search(r"-([a-f0-9]+)\.", name) if check_hash else None
        download_url_to_file(url, path, found and found[1], progress)
    return _load(path, map_location=map_location)


def _refused(*args: Any, **kwargs: Any) -> Any:
    """Not here: it would run code from elsewhere."""
    raise SerializationError("hub: gradflow runs no code of other repositories; clone the repository, and import its model")


load = list = help = _refused
