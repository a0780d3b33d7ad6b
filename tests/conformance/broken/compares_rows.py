"""Predicts each row by its distance from the first one of the request.

Caught by: test_cut_anywhere
"""

from sound import Sound, main


class Broken(Sound):
    def predict(self, body):
        rows = self.rows(body)
        return b"".join(b"%r\n" % (sum(row) - sum(rows[0])) for row in rows)


main(Broken)
