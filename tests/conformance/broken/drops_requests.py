"""Exits at SIGTERM without waiting for requests in flight.

Caught by: test_requests_in_flight_are_answered
"""

import os
import signal

from sound import Sound, main, serve


def impatient(handler):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal = lambda *_: None
    return serve(handler)


main(Sound, impatient)
