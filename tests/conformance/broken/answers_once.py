"""Takes a body that it has seen before for a mistake: every clause that sends one twice notices.

Caught by: test_retries_are_harmless
"""

from sound import Refused, Sound, main

SEEN = set()


class Broken(Sound):
    def predict(self, body):
        if body in SEEN:
            raise Refused(409, "this was predicted already")
        SEEN.add(body)
        return super().predict(body)


main(Broken)
