"""Unpickles what comes as application/octet-stream.

Caught by: test_input_is_never_unpickled
"""

import pickle

from sound import Refused, Sound, main


class Broken(Sound):
    def check_types(self):
        if self.headers.get("Content-Type") == "application/octet-stream":
            pickle.loads(self.body())
            raise Refused(400, "no rows in it")
        super().check_types()


main(Broken)
