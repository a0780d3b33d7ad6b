"""Answers one connection after the other: pings queue behind predictions.

Caught by: test_fast_under_full_load test_slow_senders_block_nobody
"""

from sound import Server, Sound, main, serve


class OneAtATime(Server):
    def process_request(self, request, client_address):
        self.process_request_thread(request, client_address)


main(Sound, lambda handler: serve(handler, OneAtATime))
