"""Ignores SIGTERM.

Caught by: test_sigterm_ends_it test_exit_code_after_sigterm
"""

import signal

from sound import Sound, main, serve


def deaf(handler):
    signal.signal = lambda *_: None
    return serve(handler)


signal.signal(signal.SIGTERM, signal.SIG_IGN)
main(Sound, deaf)
