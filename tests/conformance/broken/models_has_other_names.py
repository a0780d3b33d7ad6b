"""Lists its models under names of its own.

Caught by: test_list test_paging
"""

from sound_models import SoundModels, loaded, main


class Broken(SoundModels):
    def page(self, query):
        return {"models": [{"model_name": name, "model_url": url} for name, url in loaded.items()]}


main(Broken)
