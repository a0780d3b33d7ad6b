"""Takes the byte order mark for a part of the first value.

Caught by: test_byte_order_mark
"""

from sound import Refused, Sound, main


class Broken(Sound):
    def rows(self, body):
        if body.startswith(b"\xef\xbb\xbf"):
            raise Refused(400, "not a number")
        return super().rows(body)


main(Broken)
