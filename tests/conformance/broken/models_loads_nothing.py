"""Says that it has loaded a model, and has not.

Caught by: test_load test_load_again_is_409 test_list test_describe test_invoke test_every_worker_knows test_unload
test_corrupt_model_fails_alone test_opaque_names test_paging
"""

from sound_models import SoundModels, main


class Broken(SoundModels):
    def load(self, name, url):
        return {}


main(Broken)
