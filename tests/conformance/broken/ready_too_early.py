"""Says 200 to /ping while it still loads.

Caught by: test_first_200_is_true (and by every clause that is asked early)
"""

import time

from sound import Refused, Sound, main

began = time.monotonic()


class Broken(Sound):
    def invocations(self):
        if time.monotonic() - began < 1.5:
            raise Refused(503, "loading")
        super().invocations()


main(Broken)
