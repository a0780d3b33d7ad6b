"""Refuses bodies of more than 5 MB, as the classic nginx.conf does.

Caught by: test_25_mb test_default_sizes
"""

from sound import Sound, main


class Broken(Sound):
    def max_body(self):
        return 5 * 2**20


main(Broken)
