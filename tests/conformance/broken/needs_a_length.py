"""Does not read bodies that come in chunks.

Caught by: test_chunked_request test_6_mb_in_chunks
"""

from sound import Refused, Sound, main


class Broken(Sound):
    def body(self):
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "a length is needed")
        return super().body()


main(Broken)
