"""Fails over a model that it does not know.

Caught by: test_unknown_model_is_404 test_unload test_corrupt_model_fails_alone
"""

from sound_models import Refused, SoundModels, loaded, main


class Broken(SoundModels):
    def known(self, name):
        if name not in loaded:
            raise Refused(500, "KeyError")
        return name


main(Broken)
