"""Leaves a symbolic link, readable by its owner only, as the artifact.

Caught by: test_no_links test_readable_by_others
"""

from sound import BASE, MODEL, Sound, main, train


def linked():
    if train():
        return 1
    (BASE / "model/model.txt").unlink()
    (BASE / "model/real.txt").write_bytes(MODEL)
    (BASE / "model/real.txt").chmod(0o600)
    (BASE / "model/model.txt").symlink_to("real.txt")
    return 0


main(Sound, train=linked)
