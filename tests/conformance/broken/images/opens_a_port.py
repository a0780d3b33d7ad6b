"""Serves its metrics on a port of their own."""

import threading

from sound import Server, Sound, main, serve


def both(handler):
    threading.Thread(target=Server(("0.0.0.0", 9999), handler).serve_forever, daemon=True).start()
    return serve(handler)


main(Sound, both)
