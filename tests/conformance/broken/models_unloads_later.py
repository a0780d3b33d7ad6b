"""Answers an unload before the model is gone.

Caught by: test_unload
"""

from sound_models import SoundModels, main

ghosts = set()


class Broken(SoundModels):
    def unload(self, name):
        ghosts.add(name)
        return super().unload(name)

    def invoke(self, name):
        if name in ghosts:
            ghosts.discard(name)
            self.reply(200, self.predict(self.body()), self.reply_type())
        else:
            super().invoke(name)


main(Broken)
