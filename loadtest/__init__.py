"""How much a served model carries within a latency, and what that costs. Standard library only; nothing of the kit.

sender: one process of the load · constant: what it is measured against · measuring: the load · figures: percentiles
and the search for the highest rate · inside: where the server's time goes · prices: AWS's Price List · costs: rates to
instances and dollars · drawing, report: HTML. local-test/load-test.sh and `python -m deploy measure` both use it.
"""
