"""The address that `save_sample` had in version 1, for notebooks that still import it from here."""

from .models.sample import save_sample

__all__ = ["save_sample"]
