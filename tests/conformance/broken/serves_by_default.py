"""Serves whatever its argument is.

Caught by: test_unknown_argument_is_refused test_no_argument_ends
"""

import sys

from sound import Sound, main

if sys.argv[1:] != ["train"]:
    sys.argv[1:] = ["serve"]
main(Sound)
