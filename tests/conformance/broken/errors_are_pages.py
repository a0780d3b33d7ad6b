"""Sends errors as HTML.

Caught by: test_bad_rows_are_told_in_json test_refusals_are_json
"""

from sound import Sound, main


class Broken(Sound):
    def refuse(self, exc):
        self.reply(exc.status, f"<html><h1>{exc}</h1></html>".encode(), "text/html")


main(Broken)
