"""Sends a page with /ping.

Caught by: test_body_is_empty
"""

from sound import Sound, main


class Broken(Sound):
    def ping(self):
        self.body()
        self.reply(200, b"pong")


main(Broken)
