"""Compares Content-Type with the string `text/csv`, and so refuses what it answers itself.

Caught by: test_charset test_accepts_the_type_that_it_answers test_other_parameters test_letter_case test_long_headers
"""

from sound import Refused, Sound, main


class Broken(Sound):
    def check_types(self):
        if self.headers.get("Content-Type") != "text/csv":
            raise Refused(415, "text/csv only")
        super().check_types()


main(Broken)
