"""Says 200 to /ping whatever became of the model.

Caught by: test_tells_of_a_broken_model
"""

from sound import BASE, MODEL, Refused, Sound, main, serve


class Broken(Sound):
    def invocations(self):
        model = BASE / "model/model.txt"
        if model.is_file() and model.read_bytes() != MODEL:
            raise Refused(500, "no model")
        super().invocations()


def unchecked(handler):
    import sound

    sound.MODEL = (BASE / "model/model.txt").read_bytes()
    return serve(handler)


main(Broken, unchecked)
