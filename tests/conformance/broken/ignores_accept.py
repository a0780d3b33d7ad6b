"""Answers CSV whatever Accept says.

Caught by: test_accept_json test_accept_unknown_is_406
"""

from sound import Sound, main


class Broken(Sound):
    def check_types(self):
        if "Accept" in self.headers:
            del self.headers["Accept"]
        super().check_types()


main(Broken)
