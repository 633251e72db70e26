"""``python -m gradflow info``"""

import sys

from .runtime import info


def main(argv: list[str]) -> int:
    if argv != ["info"]:
        print("usage: python -m gradflow info", file=sys.stderr)
        return 2
    print(info())
    return 0


sys.exit(main(sys.argv[1:]))
