"""Answers in an order of its own.

Caught by: test_order_is_kept test_rows_alone_as_together test_answers_do_not_mix
"""

from sound import Sound, main


class Broken(Sound):
    def rows(self, body):
        return sorted(super().rows(body))


main(Broken)
