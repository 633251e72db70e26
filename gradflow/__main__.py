"""``python -m gradflow info`` and ``python -m gradflow doctor``"""

import sys

from .runtime import doctor, info


def main(argv: list[str]) -> int:
    if argv == ["info"]:
        print(info())
        return 0
    if argv == ["doctor"]:
        text, healthy = doctor()
        print(text)
        return 0 if healthy else 1
    print("usage: python -m gradflow info | doctor", file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
