"""Loads a model again that is loaded.

Caught by: test_load_again_is_409
"""

from sound_models import SoundModels, loaded, main


class Broken(SoundModels):
    def load(self, name, url):
        loaded.pop(name, None)
        return super().load(name, url)


main(Broken)
