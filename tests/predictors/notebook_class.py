"""Holds the class that the pickle looks for in __main__, because it was made in a notebook."""


class Tall:
    def predict(self, rows):
        return ["tall" if row[0] > 6 else "short" for row in rows]


def transformation(model, rows):
    return model.predict(rows)
