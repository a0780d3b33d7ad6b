"""Every family that is compiled: the same answers and the same errors as the estimator's; only sooner."""

from __future__ import annotations

import copy
import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import datasets, ensemble, linear_model, svm, tree
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)
from threadpoolctl import threadpool_limits

from serving.compiler.compiling import NotCompiled, compiled
from serving.compiler.facade import Estimator, Facade, behind
from serving.compiler.program import from_arrays, read, to_arrays, write
from serving.compiler.proof import outcome, same_bits
from serving.compiler.readers import known


@pytest.fixture(autouse=True)
def _quiet_and_single_threaded():
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def data(name: str, as_frame: bool = False):
    return getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=as_frame)


def fast_of(model, program=None) -> Facade:
    """What transformation would get for the model."""
    program = program or compiled(model)
    return Facade(program, Estimator(lambda: None, program.name, model))


def assert_equals_own(model, batches, odd=(), program=None) -> None:
    """What answers by the program answers the batches as the estimator does, errors included."""
    fast = fast_of(model, program or compiled(model, batches[:1]))
    for name in behind(fast).evaluators:
        for rows in batches:
            assert same_bits(outcome(getattr(fast, name), rows), outcome(getattr(model, name), rows)), (name, len(rows))
    for rows in odd:  # all methods admit the same rows
        assert same_bits(outcome(fast.predict, rows), outcome(model.predict, rows)), rows


def batches_of(rows, sizes=(1, 2, 3, 7, 16, 64, 100, 178)) -> list:
    rng = np.random.default_rng(1)
    picks = [rng.integers(0, len(rows), size) for size in sizes]
    return [rows.iloc[pick] if isinstance(rows, pd.DataFrame) else rows[pick] for pick in picks]


def odd_batches(rows) -> list:
    """The same rows in other dtypes, layouts and with values that some models refuse."""
    some = rows[:20]
    holes, infinite = some.copy(), some.copy()
    holes[3, 1], infinite[0, 0] = np.nan, np.inf
    return [
        some.astype(np.float32), some.astype(np.int64), some.astype(np.int8), some.astype(bool), some.astype(object),
        some.tolist(), np.asfortranarray(some), some[::3], some[:, ::-1], holes, holes[3:4], infinite, some * 1e200,
        some[:0], some[0], some[:, :-1], scipy.sparse.csr_matrix(some), np.ma.masked_array(some), "text", None,
        some.astype(str), pd.DataFrame(some), some[None],
    ]  # fmt: skip


CLASSIFIERS = {
    "forest": ensemble.RandomForestClassifier(30, random_state=0),
    "forest, deep, balanced": ensemble.RandomForestClassifier(7, class_weight="balanced", random_state=1, n_jobs=2),
    "forest of stumps": ensemble.RandomForestClassifier(50, max_depth=1, criterion="entropy", random_state=0),
    "forest of one": ensemble.RandomForestClassifier(1, random_state=0),
    "extra trees": ensemble.ExtraTreesClassifier(30, bootstrap=True, random_state=0),
    "tree": tree.DecisionTreeClassifier(min_samples_leaf=5, random_state=0),
    "extra tree": tree.ExtraTreeClassifier(random_state=0),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0),
    "boosting from zero": ensemble.GradientBoostingClassifier(n_estimators=5, init="zero", subsample=0.7),
    "hist": ensemble.HistGradientBoostingClassifier(max_iter=12),
    "hist, regularised": ensemble.HistGradientBoostingClassifier(max_iter=5, l2_regularization=3, max_leaf_nodes=5),
    "logistic": linear_model.LogisticRegression(max_iter=50),
    "logistic, l1": linear_model.LogisticRegression(C=0.1, solver="saga", max_iter=20, fit_intercept=False),
    "logistic, cross-validated": linear_model.LogisticRegressionCV(Cs=2, cv=2, max_iter=20),
    "ridge": linear_model.RidgeClassifier(),
    "sgd, hinge": linear_model.SGDClassifier(random_state=0),
    "sgd, log": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "sgd, huber": linear_model.SGDClassifier(loss="modified_huber", random_state=0),
    "perceptron": linear_model.Perceptron(random_state=0),
    "linear svc": svm.LinearSVC(random_state=0, max_iter=50),
    "scaled logistic": make_pipeline(StandardScaler(), linear_model.LogisticRegression(max_iter=50)),
    "imputed forest": make_pipeline(SimpleImputer(), MinMaxScaler(), ensemble.RandomForestClassifier(10)),
    "scaled, reduced": make_pipeline(StandardScaler(), PCA(3), linear_model.LogisticRegression()),
    "hist behind a scaler": make_pipeline(MaxAbsScaler(), ensemble.HistGradientBoostingClassifier(max_iter=5)),
}
REGRESSORS = {
    "forest": ensemble.RandomForestRegressor(30, random_state=0),
    "forest, poisson": ensemble.RandomForestRegressor(5, criterion="poisson", random_state=0),
    "extra trees": ensemble.ExtraTreesRegressor(30, random_state=0),
    "tree": tree.DecisionTreeRegressor(random_state=0),
    "boosting": ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
    "boosting, huber": ensemble.GradientBoostingRegressor(loss="huber", n_estimators=10, learning_rate=0.3),
    "hist": ensemble.HistGradientBoostingRegressor(max_iter=20),
    "hist, poisson": ensemble.HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
    "hist, quantile": ensemble.HistGradientBoostingRegressor(max_iter=5, loss="quantile", quantile=0.9),
    "linear": linear_model.LinearRegression(),
    "ridge": linear_model.Ridge(),
    "ridge, cross-validated": linear_model.RidgeCV(),
    "lasso": linear_model.Lasso(),
    "elastic net": linear_model.ElasticNet(fit_intercept=False),
    "sgd": linear_model.SGDRegressor(random_state=0),
    "linear svr": svm.LinearSVR(random_state=0, max_iter=50),
    "scaled ridge": make_pipeline(StandardScaler(), linear_model.Ridge()),
}


@cache
def classifier(kind: str, name: str):
    """A fitted classifier and its program, made once."""
    rows, labels = data(name)
    model = clone(CLASSIFIERS[kind]).fit(rows, labels)
    return model, compiled(model, batches_of(rows)[:1])


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers_answer_as_their_own_methods_do(kind, name):
    rows, _ = data(name)
    model, program = classifier(kind, name)
    assert_equals_own(model, batches_of(rows), odd_batches(rows), program)


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_regressors_answer_as_their_own_methods_do(model):
    rows, target = data("diabetes")
    assert_equals_own(clone(model).fit(rows, target), batches_of(rows), odd_batches(rows))


@pytest.mark.parametrize("kind", ["forest", "boosting", "hist", "logistic", "tree"])
def test_ten_classes_and_text_labels(kind):
    rows, labels = (part[:500] for part in data("digits"))
    model = clone(CLASSIFIERS[kind]).fit(rows, np.array(list("abcdefghij"))[labels])
    assert_equals_own(model, batches_of(rows, (1, 2, 64, 300)))


@pytest.mark.parametrize("kind", ["forest", "hist", "logistic", "scaled logistic", "tree", "boosting"])
def test_named_columns_in_the_form_the_model_was_fitted_on(kind):
    frame, labels = data("wine", as_frame=True)
    wrong_order, integers = frame[frame.columns[::-1]][:5], frame[:9].astype({frame.columns[3]: "int64"})
    missing = frame[:5].copy()
    missing.iloc[2, 2] = np.nan
    odd = [wrong_order, integers, missing, frame.iloc[:5, 1:], frame[:5].to_numpy(), frame[:5].astype("Float64"),
           frame[:5].astype(object), frame[:5].astype("float32"), frame[:0]]  # fmt: skip
    assert_equals_own(clone(CLASSIFIERS[kind]).fit(frame, labels), batches_of(frame) + odd)


@pytest.mark.parametrize("kind", ["forest", "hist", "tree", "extra trees"])
def test_models_fitted_with_missing_values(kind):
    rows, labels = data("wine")
    rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    model = clone(CLASSIFIERS[kind])
    try:
        model.fit(rows, labels)
    except ValueError:
        pytest.skip("this version takes no NaN here")
    assert_equals_own(model, batches_of(rows))


@pytest.mark.parametrize("kind", ["logistic", "ridge", "sgd, hinge", "sgd, log", "perceptron", "linear svc"])
def test_a_score_of_exactly_zero_is_the_class_that_the_estimator_says(kind):
    rows, labels = data("breast_cancer")
    model = clone(CLASSIFIERS[kind]).set_params(fit_intercept=False).fit(rows - rows.mean(axis=0), labels)
    zeros = np.zeros((3, rows.shape[1]))
    assert not model.decision_function(zeros).any()
    assert_equals_own(model, [zeros, -zeros])


def test_regressors_of_several_targets():
    rows, target = data("diabetes")
    both = np.column_stack([target, -target])
    for kind in ("forest", "tree", "linear", "ridge"):
        assert_equals_own(clone(REGRESSORS[kind]).fit(rows, both), batches_of(rows))


def scaled(model):
    return make_pipeline(StandardScaler(), model)


LOGISTIC, FOREST = CLASSIFIERS["scaled logistic"], ensemble.RandomForestClassifier(5, random_state=0)
RIDGE, GROVE = scaled(linear_model.Ridge()), ensemble.RandomForestRegressor(5, random_state=0)
HIST = ensemble.HistGradientBoostingClassifier(max_iter=3)
TWO = [("logistic", LOGISTIC), ("forest", FOREST)]
THREE = [*TWO, ("ridge", linear_model.RidgeClassifier())]
COMPOSED = {
    "search": GridSearchCV(LOGISTIC, {"logisticregression__C": [1, 2]}, cv=2),
    "vote": ensemble.VotingClassifier(THREE),
    "vote, weighted": ensemble.VotingClassifier(THREE, weights=[0.2, 0.7, 0.1]),
    "vote, soft": ensemble.VotingClassifier(TWO, voting="soft"),
    "vote, soft, weighted": ensemble.VotingClassifier(TWO, voting="soft", weights=[1, 3]),
    "stack": ensemble.StackingClassifier(TWO, cv=2),
    "stack, rows passed through": ensemble.StackingClassifier(TWO, FOREST, cv=2, passthrough=True),
    "stack of others": ensemble.StackingClassifier([*TWO, ("hist", HIST)], CLASSIFIERS["boosting"], cv=2),
    "calibrated": CalibratedClassifierCV(svm.LinearSVC(), cv=2),
    "calibrated forest": CalibratedClassifierCV(FOREST, cv=2),
    "calibrated by steps": CalibratedClassifierCV(LOGISTIC, cv=2, method="isotonic"),
    "bag": ensemble.BaggingClassifier(n_estimators=9, random_state=0),
    "bag, some features": ensemble.BaggingClassifier(n_estimators=5, max_features=0.5, random_state=0),
    "bag, some classes": ensemble.BaggingClassifier(n_estimators=5, max_samples=3, random_state=0),
    "bag of others": ensemble.BaggingClassifier(LOGISTIC, n_estimators=3, max_features=0.6, random_state=0),
    "ada boost": ensemble.AdaBoostClassifier(n_estimators=12, random_state=0),
    "ada boost of trees": ensemble.AdaBoostClassifier(tree.DecisionTreeClassifier(max_depth=3), n_estimators=5),
    "isolation forest": ensemble.IsolationForest(n_estimators=20, random_state=0),
    "isolation forest, some features": ensemble.IsolationForest(n_estimators=9, max_features=0.5, random_state=0),
}
COMPOSED_REGRESSORS = {
    "vote": ensemble.VotingRegressor([("ridge", RIDGE), ("forest", GROVE)]),
    "vote, weighted": ensemble.VotingRegressor([("ridge", RIDGE), ("forest", GROVE)], weights=[1, 2]),
    "stack": ensemble.StackingRegressor([("ridge", RIDGE), ("forest", GROVE)], cv=2),
    "logarithm of the target": TransformedTargetRegressor(RIDGE, func=np.log1p, inverse_func=np.expm1),
    "scaled target": TransformedTargetRegressor(GROVE, transformer=StandardScaler()),
    "bag": ensemble.BaggingRegressor(n_estimators=9, max_features=0.7, random_state=0),
    "bag of others": ensemble.BaggingRegressor(RIDGE, n_estimators=3, random_state=0),
    "several targets": MultiOutputRegressor(ensemble.GradientBoostingRegressor(n_estimators=4)),
}


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
@pytest.mark.parametrize("model", COMPOSED.values(), ids=COMPOSED)
def test_composed_classifiers_answer_as_their_own_methods_do(model, name):
    rows, labels = data(name)
    labels = np.array(["no", "perhaps", "yes"], dtype=object if name == "wine" else None)[labels]
    holes = rows[:5].copy()
    holes[2, 1] = np.nan
    assert_equals_own(clone(model).fit(rows, labels), batches_of(rows, (1, 2, 7, 64)), [holes, rows[:4].tolist()])


@pytest.mark.parametrize("kind", ["logistic", "linear svc", "forest"])
def test_one_classifier_for_each_class(kind):
    rows, labels = data("wine")
    model = OneVsRestClassifier(clone(CLASSIFIERS[kind])).fit(rows, np.array(["no", "perhaps", "yes"])[labels])
    assert_equals_own(model, batches_of(rows, (1, 2, 7, 64)))


@pytest.mark.parametrize("kind", ["logistic", "forest"])
@pytest.mark.parametrize("words", [np.array([0, 1, 2]), np.array(["no", "perhaps", "yes"])], ids=["numbers", "texts"])
def test_labels_of_several_targets(kind, words):
    rows, labels = data("wine")
    model = MultiOutputClassifier(clone(CLASSIFIERS[kind])).fit(rows, words[np.column_stack([labels, 2 - labels])])
    assert_equals_own(model, batches_of(rows, (1, 2, 7, 64)))


@pytest.mark.parametrize("model", COMPOSED_REGRESSORS.values(), ids=COMPOSED_REGRESSORS)
def test_composed_regressors_answer_as_their_own_methods_do(model):
    rows, target = data("diabetes")
    target = np.column_stack([target, -target]) if isinstance(model, MultiOutputRegressor) else target
    assert_equals_own(clone(model).fit(rows, target), batches_of(rows, (1, 2, 7, 64)))


# -- mixed columns -------------------------------------------------------------------------------------------------


def mixed(count: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, count),
            "fare": rng.gamma(2, 20, count),
            "sex": rng.choice(["female", "male"], count),
            "port": rng.choice(["S", "C", "Q"], count),
            "deck": rng.choice(list("ABCDEFGH"), count),
            "class": rng.choice([1, 2, 3], count),
            "name": [f"passenger {i}" for i in range(count)],
        }
    )
    frame.loc[::7, "fare"] = np.nan
    frame.loc[::11, "port"] = None
    return frame, (frame["age"] + 30 * (frame["sex"] == "male") + rng.normal(0, 9, count) > 60).to_numpy(int)


NUMBERS, TEXTS = ["age", "fare"], ["sex", "port", "deck"]


def prepared(encoder, *, impute: bool = True, **kwargs) -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if impute else encoder
    return make_column_transformer((numbers, NUMBERS), (texts, TEXTS), (OneHotEncoder(), ["class"]), **kwargs)


one_hot, ordinal = OneHotEncoder, OrdinalEncoder
MIXED = {
    "one-hot, unknown ignored": (prepared(one_hot(handle_unknown="ignore")), "logistic"),
    "one-hot, unknown refused": (prepared(one_hot()), "logistic"),
    "one-hot, NaN is a category": (prepared(one_hot(), impute=False), "forest"),
    "one-hot, drop first": (prepared(one_hot(drop="first", sparse_output=False)), "logistic"),
    "one-hot, drop first, ignore": (prepared(one_hot(drop="first", handle_unknown="ignore")), "logistic"),
    "one-hot, infrequent": (prepared(one_hot(min_frequency=30, handle_unknown="infrequent_if_exist")), "boosting"),
    "sparse, linear": (prepared(one_hot(handle_unknown="ignore"), sparse_threshold=1.0), "logistic"),
    "sparse, forest": (prepared(one_hot(), sparse_threshold=1.0), "forest"),
    "ordinal": (prepared(ordinal(handle_unknown="use_encoded_value", unknown_value=-1)), "hist"),
    "ordinal, unknown is NaN": (
        prepared(ordinal(handle_unknown="use_encoded_value", unknown_value=np.nan), impute=False), "hist",
    ),
    "remainder": (make_column_transformer((one_hot(), ["deck"]), ("drop", ["name", "sex", "port"]),
                                          remainder=SimpleImputer()), "tree"),
    "passed through": (make_column_transformer((ordinal(), ["sex", "class"]), ("passthrough", ["age"])), "ridge"),
    "then scaled": (make_pipeline(prepared(one_hot(), sparse_threshold=0), StandardScaler()), "logistic"),
}  # fmt: skip


def mixed_model(name: str):
    first, kind = MIXED[name]
    final = clone(CLASSIFIERS[kind])
    steps = [clone(step) for _, step in first.steps] if hasattr(first, "steps") else [clone(first)]
    return make_pipeline(*steps, final)


@cache
def mixed_fitted(name: str):
    """The model, fitted, and its program, made once."""
    frame, labels = mixed()
    model = mixed_model(name).fit(frame, labels)
    return model, compiled(model, batches_of(frame, (1, 2, 64))[:1])


@pytest.mark.parametrize("name", MIXED)
def test_column_transformers_answer_as_their_own_methods_do(name):
    frame, _ = mixed()
    some = frame[:12]
    odd = [
        some.assign(sex="unseen"), some.assign(deck=np.nan), some.assign(deck=None), some.assign(sex=1),
        some.assign(fare=np.nan), some.assign(fare=np.inf), some.assign(age=some["age"].astype(float) + 0.5),
        some.assign(age=some["age"].astype(str)), some.assign(**{"class": 4}), some.assign(**{"class": 1.0}),
        some.assign(**{"class": "1"}), some.astype(object), some.astype({"deck": "category"}), some.drop(columns="sex"),
        some[some.columns[::-1]], some.assign(more=1), some[:0], some.to_numpy(), some.assign(fare=some["age"]),
        some.astype({"sex": "string"}), some.assign(port=["S", None, np.nan] * 4), some.assign(age=True),
        some.assign(fare=1e300), pd.DataFrame(some.to_dict("records"), index=list("abcdefghijkl")),
    ]  # fmt: skip
    # every form of encoder meets some of them, the first two meet all: a call of the estimator's own costs 10 ms
    odd = odd if list(MIXED).index(name) < 2 else odd[list(MIXED).index(name) % 4 :: 4]
    model, program = mixed_fitted(name)
    assert_equals_own(model, batches_of(frame, (1, 2, 64)), odd, program)


CATEGORIES = {
    "by dtype": ({"sex": "category", "deck": "category"}, {}),
    "by name": ({"sex": object, "deck": object}, {"categorical_features": ["sex", "deck"]}),
    "of numbers": ({"class": float, "sex": "category", "deck": "category"}, {"categorical_features": ["class"]}),
}


@pytest.mark.parametrize("name", CATEGORIES)
def test_histogram_boosting_with_categories(name):
    frame, labels = mixed()
    dtypes, options = CATEGORIES[name]
    frame = frame[["age", "fare", *dtypes]].astype(dtypes)
    if name == "of numbers":
        frame = frame[["age", "fare", "class"]]
    model = ensemble.HistGradientBoostingClassifier(max_iter=8, **options).fit(frame, labels)
    some = frame[:12]
    odd = [some.assign(fare=np.inf), some[some.columns[::-1]], some.to_numpy(), some[:0]]
    if name == "by name":
        odd += [some.assign(sex="unseen"), some.assign(deck=None), some.assign(deck=np.nan), some.assign(sex=1)]
    assert_equals_own(model, batches_of(frame, (1, 2, 64)), odd)


@pytest.mark.parametrize("form", ["loop", "object", "records", "blocks"])
def test_a_frame_is_answered_the_same_however_it_was_made(form):
    frame, _ = mixed()
    model, program = mixed_fitted("one-hot, unknown ignored")
    made = {
        "loop": pd.concat([frame[i : i + 1] for i in range(9)], ignore_index=True),
        "object": frame[:9].astype(dict.fromkeys(TEXTS, object)),
        "records": pd.DataFrame.from_records(frame[:9].to_dict("records")),
        "blocks": pd.DataFrame({name: frame[name].to_numpy()[:9] for name in frame}),
    }[form]
    assert_equals_own(model, [made], program=program)


# -- the front of a pipeline ----------------------------------------------------------------------------------------


DENSE = prepared(one_hot(handle_unknown="ignore"), sparse_threshold=0)
PARTIAL = {
    "neighbours": make_pipeline(DENSE, KNeighborsClassifier()),
    "a step between": make_pipeline(DENSE, QuantileTransformer(n_quantiles=9), None, CLASSIFIERS["logistic"]),
    "a network": make_pipeline(DENSE, MLPClassifier((5,), max_iter=5, random_state=0)),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_what_follows_the_front_of_a_pipeline_answers_by_itself(name, tmp_path):
    """The estimator is asked for the rest; the artifact says so, and what it does not suffice for."""
    frame, labels = mixed()
    model = clone(PARTIAL[name]).fit(frame, labels)
    found = compiled(model, [frame[:3]])
    assert found.program.is_partial
    assert found.describe().endswith("; the last steps by themselves)")
    assert_equals_own(model, [*batches_of(frame), frame[:9].assign(sex="unseen"), frame[:9].assign(fare=np.inf)])
    write(tmp_path / "a.npz", to_arrays(found.program))
    assert from_arrays(read(tmp_path / "a.npz")).is_partial


def test_only_scikit_learns_own_rest_is_asked_again_and_again():
    """A proof calls it a hundred times: nobody knows what the user's own may do then."""
    rows, labels = data("iris")
    with pytest.raises(NotCompiled, match="Adjusted is not a family"):
        compiled(make_pipeline(StandardScaler(), Adjusted(3)).fit(rows, labels))
    with pytest.raises(NotCompiled, match="KNeighborsClassifier is not a family"):
        compiled(GridSearchCV(make_pipeline(StandardScaler(), KNeighborsClassifier()), {}, cv=2).fit(rows, labels))


# -- boosters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("name", ["breast_cancer", "iris", "diabetes"])
def test_boosters_answer_as_their_own_methods_do(library, as_frame, name):
    module = pytest.importorskip(library)
    quiet = {"verbose": -1} if library == "lightgbm" else {}
    kind = "Regressor" if name == "diabetes" else "Classifier"
    rows, target = data(name, as_frame)
    model = getattr(module, ("LGBM" if library == "lightgbm" else "XGB") + kind)(n_estimators=10, n_jobs=1, **quiet)
    odd = [] if as_frame else [rows[:9].astype(np.float32), rows[:9].astype(int), rows[:9, :-1], rows[:9].tolist()]
    assert_equals_own(model.fit(rows, target), batches_of(rows) + odd)


BOOSTERS = {
    "xgboost, poisson": ("xgboost", "XGBRegressor", {"objective": "count:poisson"}),
    "xgboost, forest": ("xgboost", "XGBRFClassifier", {}),
    "xgboost, logistic": ("xgboost", "XGBRegressor", {"objective": "reg:squarederror", "base_score": 3.3}),
    "xgboost, DART": ("xgboost", "XGBClassifier", {"booster": "dart", "rate_drop": 0.5}),
    "lightgbm, DART": ("lightgbm", "LGBMRegressor", {"boosting_type": "dart", "drop_rate": 0.5}),
    "lightgbm, categories": ("lightgbm", "LGBMClassifier", {"categorical_feature": [0, 4]}),
    "lightgbm, poisson": ("lightgbm", "LGBMRegressor", {"objective": "poisson"}),
    "lightgbm, zero is missing": ("lightgbm", "LGBMClassifier", {"zero_as_missing": True}),
    "lightgbm, NaN is zero": ("lightgbm", "LGBMClassifier", {"use_missing": False}),
    "lightgbm, forest": (
        "lightgbm", "LGBMClassifier", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_of_every_kind_with_missing_values(name):
    library, kind, options = BOOSTERS[name]
    module = pytest.importorskip(library)
    rows, target = data("wine")
    rows[:, [0, 4]] = np.floor(rows[:, [0, 4]]) % 7
    rows[:, 2] -= 2.3
    rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    quiet = {"verbose": -1} if library == "lightgbm" else {}
    model = getattr(module, kind)(n_estimators=10, n_jobs=1, **quiet, **options)
    assert_equals_own(model.fit(rows, target), batches_of(rows))


# -- the estimator behind it ----------------------------------------------------------------------------------------


@pytest.fixture
def fast():
    rows, labels = data("iris")
    return fast_of(ensemble.RandomForestClassifier(10, random_state=0).fit(rows, labels))


def test_pickled_and_copied_models_are_the_estimator(fast):
    rows, _ = data("iris")
    for other in (pickle.loads(pickle.dumps(fast)), copy.deepcopy(fast), copy.deepcopy(make_pipeline(fast))[-1]):
        assert type(other) is ensemble.RandomForestClassifier
        assert np.array_equal(other.predict(rows), fast.predict(rows))
    assert clone(fast).get_params() == fast.get_params()


def test_it_passes_for_the_estimator(fast):
    rows, labels = data("iris")
    assert isinstance(fast, ensemble.RandomForestClassifier)
    assert (len(fast), fast[0].tree_.node_count > 0, len(list(fast))) == (10, True, 10)
    assert hasattr(fast, "predict_proba")
    assert not hasattr(fast, "transform")
    assert repr(fast) == repr(clone(fast))
    assert fast.score(rows, labels) > 0.9
    assert np.array_equal(fast.predict_log_proba(rows), np.log(fast.predict_proba(rows)))
    assert fast.predict.__name__ == "predict"


def test_keywords_go_to_the_estimators_own_method(fast):
    rows, _ = data("iris")
    assert np.array_equal(fast.predict(X=rows), fast.predict(rows))
    with pytest.raises(TypeError):
        fast.predict(rows, colour="red")
    with pytest.raises(TypeError):
        fast.predict()


@pytest.mark.parametrize("change", ["fit", "attribute"])
def test_a_model_that_is_changed_answers_with_the_change(fast, change):
    rows, labels = data("iris")
    before = fast.predict(rows)
    if change == "fit":
        fast.fit(rows, labels[::-1])
    else:
        fast.estimators_ = fast.estimators_[:1]
    assert np.array_equal(fast.predict(rows), pickle.loads(pickle.dumps(fast)).predict(rows))
    assert not np.array_equal(fast.predict(rows), before)


def test_a_note_on_the_model_changes_nothing(fast):
    fast.note = "mine"
    assert fast.note == "mine"
    assert behind(fast).valid


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *MIXED])
def test_ordinary_rows_are_answered_by_the_program_itself(kind):
    rows = data("breast_cancer")[0] if kind in CLASSIFIERS else mixed()[0]
    fast = fast_of(*(classifier(kind, "breast_cancer") if kind in CLASSIFIERS else mixed_fitted(kind)))
    behind(fast).estimator = None  # calling it would fail
    for name in behind(fast).evaluators:
        for size in (1, 5, 64):
            some = rows[1 : 1 + size].dropna() if isinstance(rows, pd.DataFrame) else rows[:size]
            assert len(getattr(fast, name)(some))


def test_answers_do_not_share_memory_with_the_model_or_each_other(fast):
    rows, _ = data("iris")
    first = fast.predict_proba(rows[:3])
    kept = first.copy()
    first[:] = 9
    assert np.array_equal(fast.predict_proba(rows[:3]), kept)


def test_rows_are_not_changed():
    rows, labels = data("iris")
    fast = fast_of(
        make_pipeline(SimpleImputer(), StandardScaler(), linear_model.LogisticRegression()).fit(rows, labels)
    )
    holes = rows[:5].copy()
    holes[2, 2] = np.nan
    before = holes.copy()
    fast.predict(holes)
    assert holes.tobytes() == before.tobytes()


# -- no program rather than a wrong one ----------------------------------------------------------------------------


class Adjusted(ensemble.RandomForestClassifier):
    """A subclass may mean anything by predict."""


class Scaled(StandardScaler):
    """Nor is a step of a subclass known."""


def patched(model):
    model.predict = lambda rows: "mine"
    return model


DECLINED = {
    "a subclass": (Adjusted(3), "Adjusted is not a family"),
    "a first step of a subclass": (make_pipeline(Scaled(), linear_model.LogisticRegression()), "Scaled is not a step"),
    "no family of ours": (KNeighborsClassifier(), "KNeighborsClassifier is not a family"),
    "an init that looks at the rows": (
        ensemble.GradientBoostingClassifier(n_estimators=2, init=linear_model.LogisticRegression()), "init estimator",
    ),
    "frames between the steps": (
        make_pipeline(StandardScaler(), linear_model.LogisticRegression()).set_output(transform="pandas"), "DataFrames",
    ),
    "several label columns": (ensemble.RandomForestClassifier(3), "more than one output"),
    "a patched method": (patched(tree.DecisionTreeClassifier()), "predict is patched"),
    "not fitted": (linear_model.Ridge(), "reads differently"),
    "nothing to predict with": (make_pipeline(StandardScaler()), ""),
    "no model": ({"model": 1}, "builtins.dict is not a family"),
    "nothing": (None, "NoneType is not a family"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECLINED)
def test_what_is_not_known_is_declined_with_the_reason(name):
    model, reason = DECLINED[name]
    rows, labels = data("iris")
    if hasattr(model, "fit") and name != "not fitted":
        model.fit(rows, np.column_stack([labels, labels]) if name == "several label columns" else labels)
    before = set(getattr(model, "__dict__", ()))
    with pytest.raises(NotCompiled, match=reason):
        compiled(model)
    assert set(getattr(model, "__dict__", ())) == before


def test_one_different_bit_declines(monkeypatch):
    rows, target = data("diabetes")
    model = linear_model.Ridge().fit(rows, target)
    read = known.PREDICTORS["sklearn.linear_model._ridge", "Ridge"]

    def nearly(model, rows, reading):
        other = copy.copy(model)
        other.intercept_ = np.nextafter(model.intercept_, np.inf)
        return read(other, rows, reading)

    monkeypatch.setitem(known.PREDICTORS, ("sklearn.linear_model._ridge", "Ridge"), nearly)
    with pytest.raises(NotCompiled, match=r"Ridge\.predict differs"):
        compiled(model)


def test_private_parts_that_moved_decline():
    rows, target = data("diabetes")
    model = ensemble.HistGradientBoostingRegressor(max_iter=2).fit(rows, target)
    del model._predictors
    with pytest.raises(NotCompiled, match=r"reads differently \(AttributeError"):
        compiled(model)


def test_a_forest_with_many_jobs_is_proven_in_the_order_of_one_and_keeps_its_setting():
    rows, labels = data("iris")
    model = ensemble.RandomForestClassifier(5, n_jobs=2)
    assert compiled(make_pipeline(StandardScaler(), model).fit(rows, labels))
    assert compiled(model)
    assert model.n_jobs == 2
