"""What real models say about the rows they were fitted on. Each docstring is one sentence of the data contract."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from bodies import encode
from serving.errors import BadRequest, ModelNotUsable
from serving.formats.content_types import decode
from serving.models import sample
from serving.models.inspection import signature_of
from serving.models.sample import load_sample, save_sample
from serving.rows import blame
from serving.rows.decoded import dressed
from serving.rows.made_up import sample_rows
from serving.rows.signature import Column, Signature

RNG = np.random.default_rng(0)
N = 80
X = RNG.normal(size=(N, 3))
Y = X[:, 0] + X[:, 1] > 0
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
SEX, CLASS = RNG.choice(["female", "male"], N), RNG.choice(["1", "2", "03"], N)
PEOPLE = pd.DataFrame(
    {"age": np.where(RNG.random(N) < 0.2, np.nan, RNG.integers(1, 80, N)), "sex": SEX, "class": CLASS, "fare": X[:, 2]}
)
PEOPLE.loc[3, "sex"] = np.nan
TEXTS = ["good film", "bad film", "very good", "so bad"] * 4


def titanic(**encoder):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**encoder))
    columns = make_column_transformer((numbers, ["age", "fare"]), (words, ["sex", "class"]))
    return make_pipeline(columns, LogisticRegression()).fit(PEOPLE, Y)


ARRAY_MODELS = {
    "logistic": LogisticRegression(),
    "forest of labels": RandomForestClassifier(5, random_state=0),
    "k-means": KMeans(2, n_init=1, random_state=0),
    "isolation": IsolationForest(n_estimators=5, random_state=0),
    "gaussian process": GaussianProcessRegressor(),
    "neighbours": KNeighborsClassifier(),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "boosting": HistGradientBoostingClassifier(max_iter=3),
    "search": GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2),
    "vote": VotingClassifier([("l", LogisticRegression()), ("f", RandomForestClassifier(3))]),
    "stack": StackingClassifier([("l", LogisticRegression())], cv=2),
    "target": TransformedTargetRegressor(LinearRegression()),
}


def as_csv(frame):
    return frame.to_csv(index=False, header=False).encode()


def rows(body, model_signature, content_type="text/csv"):
    return decode(body, content_type, None, model_signature, 10**8).rows


@pytest.mark.parametrize("name", ARRAY_MODELS)
@pytest.mark.parametrize("named", [False, True])
def test_numeric_models(name, named):
    """A model of numbers gets an array, or a DataFrame if it was fitted on one; answers are those of the original."""
    target = np.where(Y, "yes", "no") if name == "forest of labels" else Y.astype(float) if name == "target" else Y
    original = FRAME if named else X
    model = ARRAY_MODELS[name].fit(original, target)
    found = signature_of(model)
    assert (found.form, found.count, found.numeric) == ("frame" if named else "array", 3, True)
    assert found.names == (("a", "b", "c") if named else None)
    for body, media_type in ((as_csv(FRAME), "text/csv"), (json.dumps(X.tolist()).encode(), "application/json")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = model.predict(rows(body, found, media_type))
        assert np.array_equal(answer, model.predict(original))
    assert len(model.predict(sample_rows(found, 4))) == 4


@pytest.mark.parametrize("name", [n for n in ARRAY_MODELS if n != "forest of labels"])
def test_block_equals_frame(name):
    """The float block of a DataFrame gives the same answer as the DataFrame, bit for bit (but for a warning)."""
    model = ARRAY_MODELS[name].fit(FRAME, Y.astype(float) if name == "target" else Y)
    decoded = decode(as_csv(FRAME), "text/csv", None, signature_of(model), 10**8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(model.predict(decoded.block), model.predict(decoded.rows))
    assert decoded.block.flags.f_contiguous
    joined = dressed(decoded.joined([decoded]), signature_of(model))
    assert joined.equals(pd.concat([decoded.rows] * 2, ignore_index=True))


def test_joined_requests_are_what_pandas_makes_of_their_frames():
    """Columns of every kind, joined before the frame is built: the values and the dtypes of pandas.concat."""
    kinds = {"number": "float64", "integer": "Int64", "text": None, "boolean": "bool", "datetime": "datetime64[ns]"}
    columns = [Column(kind, kind, dtype=dtype) for kind, dtype in kinds.items()]
    columns += [Column("category", "category", ("x", "y")), Column("objects", "text", ("x", None))]
    bodies = b"1.5,7,a,True,2024-05-31,x,x\n", b"3,,,False,,x,x\n4,5,b,True,2024-06-01,y,x\n", b"6,,c,True,,,\n"
    mixed = Signature("frame", tuple(columns))
    one, two, with_none = (decode(body, "text/csv", None, mixed, 10**8) for body in bodies)
    assert one.batch_key == two.batch_key != with_none.batch_key  # objects with a None are objects, those without str
    joined = dressed(one.joined([two]), mixed)
    pd.testing.assert_frame_equal(joined, pd.concat([one.rows, two.rows], ignore_index=True), check_exact=True)
    assert joined["text"].isna().tolist() == [False, True, False]


def test_mixed_columns():
    """A ColumnTransformer tells which columns are numbers, which texts, and their categories, through its pipelines."""
    found = signature_of(titanic())
    assert found.form == "frame"
    assert {c.name: (c.kind, c.missing) for c in found.columns} == {
        "age": ("number", True),
        "fare": ("number", True),
        "sex": ("text", True),
        "class": ("text", True),
    }
    assert found.columns[found.position["class"]].categories == ("03", "1", "2")
    model = titanic()
    for body in (
        as_csv(PEOPLE),
        PEOPLE[["fare", "class", "sex", "age"]].assign(extra="x").to_csv(index=False).encode(),
    ):
        assert np.array_equal(model.predict_proba(rows(body, found)), model.predict_proba(PEOPLE))
    records = PEOPLE.to_json(orient="records").encode()
    assert np.array_equal(model.predict(rows(records, found, "application/json")), model.predict(PEOPLE))
    assert len(model.predict(sample_rows(found, 3))) == 3


def test_integers_as_texts():
    """A JSON number for a column that was fitted as texts becomes that text."""
    frame = rows(b'[{"age": 1, "fare": 2, "sex": "male", "class": 1}]', signature_of(titanic()), "application/json")
    assert frame["class"].tolist() == ["1"]


def test_unused_column():
    """A column that the model drops may be missing when columns come by name."""
    model = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["a"])]), LogisticRegression()).fit(FRAME, Y)
    found = signature_of(model)
    assert [c.used for c in found.columns] == [True, False, False]
    assert np.array_equal(model.predict(rows(FRAME[["a"]].to_csv(index=False).encode(), found)), model.predict(FRAME))
    assert np.array_equal(
        model.predict(rows(b'{"a": 1.5}', found, "application/json")), model.predict(FRAME.assign(a=1.5)[:1])
    )


@pytest.mark.parametrize("remainder", ["passthrough", StandardScaler()])
def test_remainder(remainder):
    """What passes through to a model of numbers is numbers."""
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["sex"]), remainder=remainder), LogisticRegression()
    ).fit(PEOPLE.dropna()[["age", "sex", "fare"]], Y[PEOPLE.notna().all(axis=1)])
    found = signature_of(model)
    assert [(c.kind, c.missing) for c in found.columns] == [
        ("number", False),
        ("text", False),
        ("number", False),
    ]


def test_encoder_on_arrays():
    """An encoder that was fitted on an array of objects gets one."""
    original = PEOPLE.dropna()[["sex", "class"]].to_numpy(dtype=object)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(original, original[:, 0])
    found = signature_of(model)
    assert (found.form, [c.kind for c in found.columns]) == ("array", ["text", "text"])
    got = rows(as_csv(pd.DataFrame(original)), found)
    assert got.dtype == object
    assert np.array_equal(got, original)
    assert np.array_equal(model.predict(got), model.predict(original))


def test_integer_categories():
    """Integer categories beyond 2**53 keep their last digit."""
    ids = pd.DataFrame({"id": [2**53 + 1, 2**53 + 2, 5]})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(ids, [0, 1, 0])
    assert rows(as_csv(ids), signature_of(model))["id"].tolist() == ids["id"].tolist()
    array = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(ids.to_numpy(), [0, 1, 0])
    assert rows(as_csv(ids), signature_of(array)).tolist() == ids.to_numpy().tolist()


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), CountVectorizer(ngram_range=(1, 2))])
def test_texts(vectorizer):
    """A text vectorizer as the first step takes one string per row."""
    model = make_pipeline(vectorizer, LinearSVC()).fit(TEXTS, [1, 0, 1, 0] * 4)
    found = signature_of(model)
    assert found.form == "texts"
    assert sample_rows(found, 2) == ["a sample text"] * 2
    assert model.predict(rows(b"good film\nbad film\n", found, "text/plain")).tolist() == [1, 0]


def test_text_column():
    """A text column among others is a text, and is not taken for a missing value."""
    frame = pd.DataFrame({"review": TEXTS, "n": range(16)})
    columns = ColumnTransformer([("t", TfidfVectorizer(), "review"), ("n", StandardScaler(), ["n"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, [1, 0] * 8)
    assert [c.kind for c in signature_of(model).columns] == ["text", "number"]
    assert np.array_equal(model.predict(rows(as_csv(frame), signature_of(model))), model.predict(frame))


def test_histogram_boosting_with_categories():
    """HistGradientBoosting takes missing values and a category dtype."""
    frame = PEOPLE.assign(sex=PEOPLE["sex"].astype("category"), **{"class": PEOPLE["class"].astype("category")})
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5).fit(frame, Y)
    found = signature_of(model)
    assert [c.kind for c in found.columns] == ["number", "category", "category", "number"]
    got = rows(as_csv(frame), found)
    assert got["sex"].dtype == frame["sex"].dtype
    assert np.array_equal(model.predict_proba(got), model.predict_proba(frame))


# ---- missing and unknown values --------------------------------------------------------------------------------------


def explained(model, body):
    found = signature_of(model)
    got = rows(body, found)
    with pytest.raises(ValueError) as caught:
        model.predict(got)
    return blame.explain(got, found, caught.value)


def test_missing_value_explained():
    """A missing value that the model cannot take is a 400 that names row and column."""
    error = explained(LogisticRegression().fit(FRAME, Y), b"1,2,3\n4,,6\n")
    assert isinstance(error, BadRequest)
    assert (error.details["row"], error.details["column"]) == (2, "b")
    assert explained(LogisticRegression().fit(X, Y), b"1,2,nan\n").details["column"] == 3
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, Y)
    assert explained(scaled, b"1,2,\n").details["column"] == "c"
    assert "too large" in explained(LogisticRegression().fit(X, Y), b"1,2,inf\n").message


def test_unknown_category_explained():
    """A value outside the categories of a strict encoder is a 400 that names it."""
    error = explained(titanic(), b"22,male,2,7\n22,martian,2,7\n")
    assert (error.details["row"], error.details["column"], error.details["got"]) == (2, "sex", "martian")
    assert titanic(handle_unknown="ignore").predict(rows(b"22,martian,2,7\n", signature_of(titanic()))).shape == (1,)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()])
@pytest.mark.parametrize(("body", "place"), [(b"1,male\n2,\n", (2, "sex")), (b"1,\n", (1, "sex"))])
def test_missing_category_explained(encoder, body, place):
    """A missing value in a column that a strict encoder was fitted on without any is a 400 that names it."""
    frame = pd.DataFrame({"fare": X[:, 0], "sex": SEX})
    model = make_pipeline(make_column_transformer((encoder, ["sex"]), remainder="passthrough"), LogisticRegression())
    error = explained(model.fit(frame, Y), body)
    assert (error.details["row"], error.details["column"]) == place
    assert "no value" in error.message
    assert error.details["expected"] == "female, male"


def test_missing_category_that_is_known_or_imputed_is_not_blamed():
    """Where the encoder has seen missing values, or an imputer stands before it, another row is to blame."""
    frame = pd.DataFrame({"fare": X[:, 0], "sex": [None if i % 3 else "male" for i in range(N)]})
    seen = make_pipeline(make_column_transformer((OneHotEncoder(), ["sex"])), LogisticRegression()).fit(frame, Y)
    for model, body in ((seen, b"1,\n2,martian\n"), (titanic(), b"22,,2,7\n22,martian,2,7\n")):
        assert explained(model, body).details["got"] == "martian"


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(SimpleImputer(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=2),
        make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()),
        RandomForestClassifier(3),
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=2)),
        make_pipeline(FunctionTransformer(), SimpleImputer(), LogisticRegression()),
    ],
)
def test_missing_values_taken(model):
    """An imputer, or an estimator that takes NaN, is recognised wherever it stands."""
    model.fit(FRAME, Y)
    assert all(column.missing for column in signature_of(model).columns)
    assert len(model.predict(rows(b"1,,3\n", signature_of(model)))) == 1


class OfNumbers:
    """A class of one's own that says nothing of its columns."""

    def predict(self, rows):
        return np.asarray(rows, dtype=float)[:, 0]


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (b"1,2\n3,x\n", (2, 2), "'x'"),
        (b"a,b\n", (1, 1), "header=present"),
        (b"a;b\n1;2\n", (1, 1), "commas"),
        (b"1\t2\n", (1, 1), "commas"),
        (b'[["1", "it\'s"]]', (1, 2), "it's"),
        (b'{"rows": [[1, 2], [3, 4]]}', (1, "rows"), "[1, 2]"),
        (b'[{"a": 1, "b": {"c": 2}}]', (1, "b"), "number"),
        (b'"1,2,3"', (1, 1), "commas"),
    ],
)
def test_a_text_that_a_model_wants_as_a_number(body, place, says):
    """What a model that says nothing cannot make a number of is a 400 that names the cell."""
    kind = "text/csv" if body[:1] not in b'[{"' else "application/json"
    got = decode(body, kind, None, Signature(), 10**8)
    with pytest.raises((ValueError, TypeError)) as caught:
        OfNumbers().predict(got.rows)
    error = blame.explain(got.raw, Signature(), caught.value)
    assert (error.details["row"], error.details["column"]) == place
    assert says in error.message


def test_an_error_of_the_models_own_is_not_the_callers():
    """A text that is not in the request, or an error of another kind, stays the model's."""
    got = decode(b"1,2\n", "text/csv", None, Signature(), 10**8)
    for error in (ValueError("could not convert string to float: 'x'"), KeyError("x"), ValueError("x")):
        assert blame.explain(got.raw, Signature(), error) is None


def test_an_infinite_cell_is_the_callers_even_where_missing_values_are_taken():
    """An imputer takes missing values; what is infinite is still named with row and column."""
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(FRAME, Y)
    found = signature_of(model)
    got = rows(b"1,2,3\n1,inf,3\n", found)
    with pytest.raises(ValueError, match="infinity") as caught:
        model.predict(got)
    error = blame.explain(got, found, caught.value)
    assert (error.status, error.details["row"], error.details["column"]) == (400, 2, "b")


def test_own_faults_are_not_the_callers():
    """An error that good rows cause is not blamed on the caller."""
    found = signature_of(LogisticRegression().fit(FRAME, Y))
    assert blame.explain(sample_rows(found, 2), found, ValueError("whatever")) is None
    assert blame.explain(rows(b"1,,3", found), found, ZeroDivisionError()) is None


# ---- other libraries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_xgboost(named):
    """xgboost's estimators and raw boosters tell their own names."""
    xgboost = pytest.importorskip("xgboost")
    original = FRAME if named else X
    model = xgboost.XGBClassifier(n_estimators=3).fit(original, Y)
    booster = model.get_booster()
    for thing in (model, booster):
        found = signature_of(thing)
        assert (found.form, found.count, found.numeric) == ("frame" if named else "array", 3, True)
        got = rows(as_csv(FRAME), found)
        answer = thing.predict(got) if thing is model else thing.predict(xgboost.DMatrix(got))
        assert np.array_equal(
            answer, thing.predict(original) if thing is model else thing.predict(xgboost.DMatrix(original))
        )
    assert len(model.predict(rows(b"1,,3\n", signature_of(model)))) == 1


def test_xgboost_categories():
    """xgboost's categorical columns get their categories back."""
    xgboost = pytest.importorskip("xgboost", minversion="3.1")
    pytest.importorskip("pyarrow")
    frame = PEOPLE[["age", "sex"]].assign(sex=PEOPLE["sex"].astype("category"))
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True).fit(frame, Y)
    found = signature_of(model)
    assert [(c.kind, c.categories) for c in found.columns] == [("number", None), ("category", ("female", "male"))]
    assert np.array_equal(model.predict_proba(rows(as_csv(frame), found)), model.predict_proba(frame))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_category_that_a_booster_does_not_know(library):
    """Where it would refuse it, a 400 names it; where it takes it for missing, so is it here."""
    boosters = pytest.importorskip(library, minversion="3.1")
    frame = PEOPLE[["age", "sex"]].assign(sex=PEOPLE["sex"].astype("category"))
    if library == "xgboost":
        pytest.importorskip("pyarrow")
        model = boosters.XGBClassifier(n_estimators=3, enable_categorical=True).fit(frame, Y)
    else:
        model = boosters.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, Y)
    found = signature_of(model)
    for value in ("other", None):
        asked = frame[:2].assign(sex=pd.Categorical([frame["sex"][0], value]))
        body = json.dumps(
            [{"age": row.age, "sex": None if row.sex != row.sex else row.sex} for row in asked.itertuples()]
        )
        try:
            expected = model.predict_proba(asked)
        except boosters.core.XGBoostError:
            with pytest.raises(BadRequest) as caught:
                rows(body.encode(), found, "application/json")
            assert caught.value.message == (
                "Row 2, column 'sex': expected one of the model's categories female, male, got 'other'."
            )
            continue
        assert np.array_equal(model.predict_proba(rows(body.encode(), found, "application/json")), expected)


@pytest.mark.parametrize("named", [False, True])
def test_lightgbm(named):
    """lightgbm's estimators and raw boosters tell their own names, and the categories of their columns."""
    lightgbm = pytest.importorskip("lightgbm")
    original = PEOPLE[["age", "sex", "fare"]].assign(sex=PEOPLE["sex"].astype("category")) if named else X
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(original, Y)
    for thing in (model, model.booster_):
        found = signature_of(thing)
        assert found.form == ("frame" if named else "array")
        assert [c.kind for c in found.columns] == ["number", "category" if named else "number", "number"]
        body = as_csv(original if named else FRAME)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.array_equal(thing.predict(rows(body, found)), thing.predict(original))


def test_statsmodels():
    """A statsmodels result tells its columns, of arrays, frames and formulas."""
    sm = pytest.importorskip("statsmodels.api")
    smf = pytest.importorskip("statsmodels.formula.api")
    y = X[:, 0] * 2 + X[:, 1]
    assert signature_of(sm.OLS(y, sm.add_constant(X)).fit()).count == 4
    named = sm.OLS(y, sm.add_constant(FRAME)).fit()
    assert signature_of(named).names == ("const", "a", "b", "c")
    formula = smf.ols("y ~ np.abs(a) + C(g)", FRAME.assign(y=y, g=SEX)).fit()
    found = signature_of(formula)
    assert [(c.name, c.kind) for c in found.columns] == [("a", "number"), ("g", "text")]
    assert formula.predict(rows(b"1,male\n", found)).shape == (1,)


class Silent:
    def predict(self, rows):
        return [0] * len(rows)


class Odd:
    @property
    def feature_names_in_(self):
        raise RuntimeError("no")

    def __getattr__(self, name):
        raise KeyError(name)


@pytest.mark.parametrize("model", [[Silent()], [Odd()], [None], [{"weights": [1]}], [LogisticRegression()], [len]])
def test_silent_models(model):
    """A model that says nothing gets what the request holds: an array of numbers, else a DataFrame."""
    found = signature_of(model[0])
    assert (found.form, found.count, sample_rows(found, 1)) == ("unknown", None, None)
    assert rows(b"1,2\n3,4\n", found).tolist() == [[1, 2], [3, 4]]
    frame = rows(b"x,2\n007,\n", found)
    assert frame.equals(pd.DataFrame([["x", 2.0], ["007", np.nan]]))
    assert rows(b'[{"a": 1, "b": "x"}]', found, "application/json").to_dict("records") == [{"a": 1, "b": "x"}]


def test_opaque_first_step():
    """Behind a function nothing is known of the types: read_csv's own guess is taken, and no sample is made up."""
    model = make_pipeline(FunctionTransformer(np.asarray), LogisticRegression()).fit(FRAME, Y)
    found = signature_of(model)
    assert {c.kind for c in found.columns} == {"any"}
    assert sample_rows(found, 1) is None
    assert rows(b"1,x,2.5\n", found).dtypes.astype(str).tolist() in (
        ["int64", "str", "float64"],
        ["int64", "object", "float64"],
    )


# ---- the sample file -------------------------------------------------------------------------------------------------

KEPT = pd.DataFrame(
    {
        "n": np.array([1, 2, 3]),
        "f": np.array([0.5, np.nan, 2], dtype="float32"),
        "flag": [True, False, True],
        "code": ["007", "100", None],
        "size": pd.Categorical(["S", "L", "S"], ["S", "L"], ordered=True),
        "when": pd.to_datetime(["2024-05-31T00:00", None, "2024-06-01T12:00"]),
        "big": pd.array([2**53 + 1, None, 3], "Int64"),
    }
)


def test_sample_file_keeps_types(tmp_path):
    """The sample file keeps names, types and categories, so that CSV and JSON come back as the same DataFrame."""
    found = load_sample(save_sample(KEPT, tmp_path))
    for body, media_type in (
        (as_csv(KEPT), "text/csv"),
        (KEPT.to_json(orient="records", date_format="iso").encode(), "application/json"),
    ):
        got = rows(body, found, media_type)
        pd.testing.assert_frame_equal(got, KEPT, check_dtype=True)
    pd.testing.assert_frame_equal(sample_rows(found, 3), KEPT)
    assert len(sample_rows(found, 5)) == 5


def test_sample_file_of_arrays_and_texts(tmp_path):
    """Arrays and lists of texts have samples too; n=0 keeps all values at home."""
    found = load_sample(save_sample(X.astype("float32"), tmp_path / "model.sample.json", n=2))
    assert found.form == "array"
    assert rows(b"1,2,3", found).dtype == np.float32
    assert sample_rows(found, 2).tolist() == X[:2].astype("float32").tolist()
    assert sample_rows(load_sample(save_sample(TEXTS, tmp_path)), 2) == TEXTS[:2]
    assert load_sample(save_sample(pd.Series(TEXTS), tmp_path, n=0)).columns[0].name is None
    assert load_sample(save_sample(pd.Series(TEXTS, name="review"), tmp_path, n=0)).columns[0].name == "review"
    path = save_sample(PEOPLE, tmp_path, n=0)
    assert json.loads(path.read_text())["rows"] == []
    assert sample_rows(load_sample(path), 2) is not None


def test_sample_file_decides(tmp_path):
    """The sample decides over the model: requests may carry what transformation computes the features from."""
    model = LogisticRegression().fit(FRAME, Y)
    raw = pd.DataFrame({"day": ["2024-05-31"], "shop": ["x"]})
    assert signature_of(model, save_sample(raw, tmp_path)).names == ("day", "shop")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"form": "frame", "columns": [{"kind": "x"}]}',
        '{"form": "f", "columns": []}',
        '{"form": "array", "columns": [{}], "rows": [[1, 2]]}',
        '{"form":"array","columns":3}',
    ],
)
def test_broken_sample_file(tmp_path, content):
    """A broken sample file stops the start with its name and the remedy."""
    path = tmp_path / sample.SAMPLE_FILE
    path.write_text(content)
    with pytest.raises(ModelNotUsable, match="save_sample"):
        load_sample(path)


def test_multi_output():
    """Several outputs per row come back as several columns, probabilities of several outputs as lists."""
    model = RandomForestRegressor(3).fit(X, X[:, :2])
    body = encode(model.predict(X[:2]), 2, None, "text/csv").body
    assert [len(line.split(b",")) for line in body.splitlines()] == [2, 2]
    labels = RandomForestClassifier(3).fit(X, np.column_stack([Y, ~Y]))
    answer = json.loads(encode(labels.predict_proba(X[:4]), 4, None, "application/json").body)["predictions"]
    assert np.array_equal(np.array(answer).swapaxes(0, 1), labels.predict_proba(X[:4]))


def test_ordinal_categories_of_objects():
    """None among an encoder's categories: a missing value becomes None, not NaN."""
    frame = pd.DataFrame({"c": np.array(["x", None, "y"], dtype=object)}, dtype=object)
    model = make_pipeline(OrdinalEncoder(), LogisticRegression()).fit(frame, [0, 1, 0])
    if None in signature_of(model).columns[0].categories:
        assert model.predict(rows(b'x\n""\ny\n', signature_of(model))).shape == (3,)
