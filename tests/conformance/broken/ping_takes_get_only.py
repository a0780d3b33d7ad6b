"""Routes /ping for GET only.

Caught by: test_post
"""

from sound import METHODS, Sound, main


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/ping": ("GET",)}


main(Broken)
