"""What holds for every test: signals as a person at a terminal has them, and no haste.

A shell starts what it puts into the background with INT and QUIT ignored, and nohup(1) starts everything
with HUP ignored; children inherit that. The tests are about what these signals do, wherever they are run.
How long one sample of a property takes says nothing on a machine that is busy with something else.
"""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
