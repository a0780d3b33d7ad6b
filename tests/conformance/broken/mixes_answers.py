"""Keeps the request in a global.

Caught by: test_answers_do_not_mix
"""

import time

from sound import Sound, main

last = {}


class Broken(Sound):
    def predict(self, body):
        last["body"] = body
        time.sleep(0.005)
        return super().predict(last["body"])


main(Broken)
