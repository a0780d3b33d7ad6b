"""Sends custom attributes back twice as long as is allowed.

Caught by: test_custom_attributes_of_the_reply
"""

from sound import Sound, main


class Broken(Sound):
    def reply(self, status, body, content_type="application/json", **headers):
        echo = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "") if hasattr(self, "headers") else ""
        super().reply(status, body, content_type, X_Amzn_SageMaker_Custom_Attributes=(echo * 2048)[:2048], **headers)


main(Broken)
