"""Announces execution parameters in the words of the API, and one that nobody knows.

Caught by: test_execution_parameters test_batch_strategy
"""

import json

from sound import METHODS, Sound, main


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/execution-parameters": ("GET",)}

    def execution_parameters(self):
        announced = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 6, "SplitType": 1}
        self.reply(200, json.dumps(announced).encode())


main(Broken)
