"""Takes no name that is longer than a word.

Caught by: test_opaque_names
"""

from sound_models import Refused, SoundModels, main


class Broken(SoundModels):
    def load(self, name, url):
        if len(name) > 32:
            raise Refused(400, "too long")
        return super().load(name, url)


main(Broken)
