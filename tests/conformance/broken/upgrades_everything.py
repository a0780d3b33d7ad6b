"""Says yes to every WebSocket, and has none.

Caught by: test_websocket_without_the_label
"""

from sound import Sound, main


class Broken(Sound):
    def answer(self):
        if self.headers.get("Upgrade"):
            self.reply(101, b"")
        else:
            super().answer()

    do_GET = answer


main(Broken)
