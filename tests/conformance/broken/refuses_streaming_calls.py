"""Refuses a streaming call, for it does not stream.

Caught by: test_streaming_call_to_a_container_without_streams
"""

from sound import Refused, Sound, main


class Broken(Sound):
    def check_types(self):
        if "X-Amzn-SageMaker-Accept" in self.headers:
            raise Refused(501, "no streams here")
        super().check_types()


main(Broken)
