"""What holds for every test: signals as a person at a terminal has them.

A shell starts what it puts into the background with INT and QUIT ignored, and children inherit that. The
tests are about what these signals do, wherever they are run.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
