"""Counts in two processes and answers each scrape from one of them alone, in turn.

Caught by: test_counters_do_not_fall
"""

import itertools

from sound import METHODS, Sound, main

scraped = itertools.count()
counts = [0, 1000]


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/metrics": ("GET",)}

    def invocations(self):
        counts[0] += 1
        counts[1] += 1
        super().invocations()

    def metrics(self):
        text = f"# TYPE requests_total counter\nrequests_total {counts[next(scraped) % 2]}\n"
        self.reply(200, text.encode(), "text/plain; version=0.0.4")


main(Broken)
