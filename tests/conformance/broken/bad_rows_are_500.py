"""Answers 500 when the caller is wrong.

Caught by: test_bad_rows_are_4xx
"""

from sound import Refused, Sound, main


class Broken(Sound):
    def refuse(self, exc):
        super().refuse(Refused(500, str(exc)) if exc.status == 400 else exc)


main(Broken)
