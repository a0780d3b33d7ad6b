"""Takes rows for a model and answers without a prediction.

Caught by: test_invoke
"""

from sound_models import SoundModels, main


class Broken(SoundModels):
    def predict(self, body):
        return b"" if self.path.startswith("/models") else super().predict(body)


main(Broken)
