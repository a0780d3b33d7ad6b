"""For a raw xgboost Booster, which wants its rows as a DMatrix."""

import xgboost


def load_model(model_dir):
    return xgboost.Booster(model_file=f"{model_dir}/model.json")


def transformation(model, rows):
    return model.predict(xgboost.DMatrix(rows))
