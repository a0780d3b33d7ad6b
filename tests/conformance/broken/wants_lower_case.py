"""Takes SAGEMAKER_BATCH=true only: the SDK's local mode writes True.

Caught by: test_batch_environment
"""

import os

from sound import Refused, Sound, main


class Broken(Sound):
    def predict(self, body):
        if os.environ.get("SAGEMAKER_BATCH", "true") != "true":
            raise Refused(500, "SAGEMAKER_BATCH is neither true nor absent")
        return super().predict(body)


main(Broken)
