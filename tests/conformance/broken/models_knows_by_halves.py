"""Only one of two workers knows what was loaded.

Caught by: test_every_worker_knows
"""

from sound_models import Refused, SoundModels, main

asked = {}


class Broken(SoundModels):
    def load(self, name, url):
        asked[name] = 0
        return super().load(name, url)

    def invoke(self, name):
        asked[name] = asked.get(name, 0) + 1
        if asked[name] % 2 == 0:
            raise Refused(404, "not by this one")
        super().invoke(name)


main(Broken)
