"""Has a short backlog and works between two accepts.

Caught by: test_accepts_within_250_ms
"""

import time

from sound import Server, Sound, main, serve


class Late(Server):
    request_queue_size = 1

    def process_request(self, request, client_address):
        time.sleep(0.03)
        super().process_request(request, client_address)


main(Sound, lambda handler: serve(handler, Late))
