"""Is healthy at the start, and later only with a model.

Caught by: test_ping_without_models
"""

from sound_models import Refused, SoundModels, loaded, main

begun = []


class Broken(SoundModels):
    def page(self, query):
        begun.append(True)
        return super().page(query)

    def ping(self):
        if begun and not loaded:
            raise Refused(503, "no model")
        super().ping()


main(Broken)
