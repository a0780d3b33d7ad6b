"""Drops rows that it has seen before.

Caught by: test_many_rows test_answers_do_not_mix
"""

from sound import Sound, main


class Broken(Sound):
    def rows(self, body):
        return list(dict.fromkeys(map(tuple, super().rows(body))))[:100]


main(Broken)
