"""Writes the name of the prediction above the predictions.

Caught by: test_cut_anywhere test_one_line_per_line
"""

from sound import Sound, main


class Broken(Sound):
    def predict(self, body):
        return b"sum\n" + super().predict(body)


main(Broken)
