"""Exits with 0 when its worker process has died.

Caught by: test_child_death_is_seen
"""

import os
import subprocess
import threading

from sound import Sound, main, serve


def with_a_worker(handler):
    worker = subprocess.Popen(["sleep", "600"])
    threading.Thread(target=lambda: (worker.wait(), os._exit(0)), daemon=True).start()
    try:
        return serve(handler)
    finally:
        worker.kill()


main(Sound, with_a_worker)
