"""``torch.utils.model_zoo``: an older name of :mod:`gradflow.hub`.

>>> from gradflow.utils import model_zoo
>>> model_zoo.load_url is gf.hub.load_state_dict_from_url
True
"""

from gradflow.hub import load_state_dict_from_url

load_url = load_state_dict_from_url

__all__ = ["load_state_dict_from_url", "load_url"]
