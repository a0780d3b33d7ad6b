"""Serves /metrics as JSON, and counts nothing.

Caught by: test_type test_lines test_requests_are_counted
"""

from sound import METHODS, Sound, main


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/metrics": ("GET",)}

    def metrics(self):
        self.reply(200, b'{"requests": 1}')


main(Broken)
