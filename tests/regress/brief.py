"""The real server, for which a linger is over at once; run with the arguments of `rexec-server`."""

from __future__ import annotations

import sys

from rexec import limits

limits.LINGER = 0.001

if __name__ == "__main__":
    from rexec.cli.server import main

    sys.exit(main(sys.argv[1:]))
