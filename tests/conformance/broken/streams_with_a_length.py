"""A stream that also says how long it is.

Caught by: test_stream_has_no_length
"""

from sound import main
from streams import Streaming


class Broken(Streaming):
    def framing(self, body):
        return {"Transfer-Encoding": "chunked", "Content-Length": str(len(body))}


main(Broken)
