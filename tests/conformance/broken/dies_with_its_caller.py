"""Ends when a caller leaves before the reply is written: every clause after that finds nobody.

Caught by: test_reader_that_leaves
"""

import os

from sound import Server, Sound, main, serve


class Fragile(Server):
    def handle_error(self, request, client_address):
        os._exit(1)


main(Sound, lambda handler: serve(handler, Fragile))
