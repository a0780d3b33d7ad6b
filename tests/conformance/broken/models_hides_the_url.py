"""Describes a model without its address.

Caught by: test_list test_describe
"""

from sound_models import SoundModels, main


class Broken(SoundModels):
    def shown(self, name):
        return {"modelName": name, "modelUrl": ""}


main(Broken)
