"""Who is measured, in the order of the report. One file each."""

from .base import Contender
from .bentoml import BentoML, BentoMLBatching
from .classic import Classic
from .fastapi import FastAPI
from .litserve import LitServe
from .mlflow import MLflow
from .mlserver import MLServer, MLServerBatching
from .nginx import Nginx
from .ours import Ours
from .ray import RayServe

CONTENDERS: dict[str, Contender] = {
    kind.name: kind()
    for kind in (
        Ours, Classic, MLServerBatching, MLServer, BentoMLBatching, BentoML, LitServe, RayServe, MLflow, FastAPI, Nginx
    )
}  # fmt: skip
