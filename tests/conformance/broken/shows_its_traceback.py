"""Sends a traceback to the caller.

Caught by: test_bad_rows_are_told_in_json test_refusals_are_json
"""

import json
import traceback

from sound import Sound, main


class Broken(Sound):
    def refuse(self, exc):
        self.reply(exc.status, json.dumps({"error": "".join(traceback.format_exception(exc))}).encode())


main(Broken)
