"""A training job that fails says nothing and exits with 0.

Caught by: test_failure_is_an_exit_code test_failure_file test_failure_begins_with_the_cause
"""

from sound import BASE, Sound, main, train


def quiet():
    train()
    (BASE / "output/failure").unlink(missing_ok=True)
    return 0


main(Sound, train=quiet)
