"""Answers every path.

Caught by: test_unknown_path_is_404 test_refusals_are_json
"""

from sound import METHODS, Sound, main


class Broken(Sound):
    def answer(self):
        if self.path not in METHODS and not self.path.startswith(("/execution", "/metrics", "/models")):
            self.path = "/ping"
        super().answer()

    do_GET = do_POST = do_PUT = do_DELETE = answer


main(Broken)
