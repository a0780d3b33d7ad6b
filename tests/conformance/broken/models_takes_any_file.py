"""Takes any file for a model.

Caught by: test_corrupt_model_fails_alone test_paging
"""

from sound_models import SoundModels, main


class Broken(SoundModels):
    def check(self, url):
        pass


main(Broken)
