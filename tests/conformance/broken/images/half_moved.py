"""Answers /ping on SAGEMAKER_BIND_TO_PORT and everything on 8080."""

import os
import threading

from sound import Server, Sound, main, serve


class PingOnly(Sound):
    def methods(self):
        return {"/ping": ("GET", "POST")}


def both(handler):
    if port := os.environ.pop("SAGEMAKER_BIND_TO_PORT", None):
        threading.Thread(target=Server(("0.0.0.0", int(port)), PingOnly).serve_forever, daemon=True).start()
    return serve(handler)


main(Sound, both)
