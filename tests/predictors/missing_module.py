"""Imports what nobody has installed."""

import no_such_package_anywhere


def transformation(model, rows):
    return no_such_package_anywhere.predict(model, rows)
