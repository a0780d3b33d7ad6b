"""Loads models, and cannot say which.

Caught by: test_label_is_true test_list test_paging
"""

from sound_models import Refused, SoundModels, main


class Broken(SoundModels):
    def page(self, query):
        raise Refused(405, "GET is not offered")


main(Broken)
