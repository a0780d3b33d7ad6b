"""Who is measured, in the order of the report. One file each."""

from .base import Contender
from .bentoml import BentoML, BentoMLBatching
from .classic import Classic
from .fastapi import FastAPI
from .litserve import LitServe
from .mlflow import MLflow
from .mlserver import MLServer, MLServerBatching, MLServerParallel
from .nginx import Nginx
from .ours import STEPS, Ours
from .ray import RayServe

__all__ = ["CONTENDERS", "STEPS"]

CONTENDERS: dict[str, Contender] = {
    kind.name: kind()
    for kind in (
        Ours, Classic, FastAPI, MLServerBatching, MLServerParallel, MLServer, BentoMLBatching, BentoML, LitServe,
        RayServe, MLflow, Nginx,
    )
}  # fmt: skip
