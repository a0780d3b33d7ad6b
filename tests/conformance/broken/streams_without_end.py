"""A stream that is not ended but cut.

Caught by: test_stream_has_an_end
"""

from sound import main
from streams import Streaming


class Broken(Streaming):
    def last(self):
        return b""


main(Broken)
