"""Stays up, and answers 502, when its worker process has died.

Caught by: test_child_death_is_seen
"""

import subprocess

from sound import Refused, Sound, main, serve


def with_a_worker(handler):
    worker = subprocess.Popen(["sleep", "600"])

    class Broken(handler):
        def invocations(self):
            if worker.poll() is not None:
                raise Refused(502, "the worker has gone")
            super().invocations()

    try:
        return serve(Broken)
    finally:
        worker.kill()


main(Sound, with_a_worker)
