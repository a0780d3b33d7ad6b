"""Announces execution parameters as strings, and more than 100 MB.

Caught by: test_concurrent_transforms test_payload_within_limits
    test_announced_payload_is_accepted test_announced_concurrency_is_served
"""

import json

from sound import METHODS, Sound, main


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/execution-parameters": ("GET",)}

    def execution_parameters(self):
        announced = {"MaxConcurrentTransforms": "8", "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": "600"}
        self.reply(200, json.dumps(announced).encode())


main(Broken)
