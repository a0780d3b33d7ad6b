"""Trains the committed model: iris flowers, a scaler and a logistic regression on named columns.

    python examples/train_model.py           (or `make model`)

Writes, relative to the repository, always the same bytes for the same package versions:
  model/model.pkl                                             the fitted pipeline; answers with the species' name
  local-test/payload.csv                                      ten rows that it has not seen, as a caller sends them
  local-test/test-dir/input/data/training/leaf_train.csv      the rows that it was fitted on, label first, no header
"""

import pickle
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    iris = load_iris(as_frame=True)
    species = iris.target.map(dict(enumerate(iris.target_names))).rename("species")
    rows, held_out, labels, held_out_labels = train_test_split(
        iris.data, species, test_size=10, stratify=species, random_state=0
    )
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)

    (REPOSITORY / "model/model.pkl").write_bytes(pickle.dumps(model, protocol=5))
    local_test = REPOSITORY / "local-test"
    held_out.to_csv(local_test / "payload.csv", index=False, header=False)
    training = local_test / "test-dir/input/data/training"
    training.mkdir(parents=True, exist_ok=True)
    rows.assign(species=labels)[["species", *rows.columns]].to_csv(
        training / "leaf_train.csv", index=False, header=False
    )
    print(f"accuracy on the {len(held_out)} held-out rows: {model.score(held_out, held_out_labels):.2f}")


if __name__ == "__main__":
    main()
