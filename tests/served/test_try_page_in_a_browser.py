"""The page to try the model, as a person uses it: headless Chromium, by labels and keys."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from conftest import lacking
from running import ASSETS, PAYLOAD, Native, make_program, wait_until

ON = {"MODEL_SERVER_TRY_PAGE": "on", "MODEL_SERVER_WORKERS": "1"}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage")  # fmt: skip

ROWS = pd.DataFrame(
    {
        "age": [20.0, 30, 40, np.nan],
        "sex": ["female", "male", "female", "male"],
        "city": ["Ulm", "Köln", "Ulm", "L'Aquila"],
    }
)
SAYS = np.array(["no", "yes", "no", "yes"])
UNKNOWN = "def transformation(model, rows):\n    return [len(row) for row in rows]\n"
PICTURE = (
    "import base64\n"
    "PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII='\n"
    "def transformation(model, rows):\n    return base64.b64decode(PNG), 'image/png'\n"
)
STREAM = "def transformation(model, rows):\n    yield from ('<b>one</b>' for row in rows.values)\n"
PARTS = "def transformation(model, rows):\n    return [{'n': 2**53 + 1, 'p': [0.5, None]} for row in rows]\n"


def people() -> Any:
    """Numbers with gaps, a closed set of categories, and an open one."""
    columns = make_column_transformer(
        (SimpleImputer(), ["age"]), (OneHotEncoder(), ["sex"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(ROWS, SAYS)


class Page:
    """The page in a browser. Controls are found by what their labels say."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url
        self.complaints()  # of the page before
        self.open()

    def open(self) -> None:
        self.driver.get(f"{self.url}/")
        wait_until(lambda: "Reading" not in self.status)

    def __getitem__(self, label: str) -> WebElement:
        labels = self.driver.find_elements(By.TAG_NAME, "label")
        [found] = [one for one in labels if one.text == label]
        return self.driver.execute_script("return arguments[0].control", found)  # type: ignore[no-any-return]

    def type(self, label: str, text: str) -> None:
        self[label].clear()
        self[label].send_keys(text)

    def choose(self, label: str, option: str) -> None:
        [found] = [one for one in self[label].find_elements(By.TAG_NAME, "option") if one.text == option]
        found.click()

    def press(self, name: str) -> None:
        [found] = [one for one in self.driver.find_elements(By.TAG_NAME, "button") if one.text == name]
        found.click()

    def text(self, id: str) -> str:
        return self.driver.find_element(By.ID, id).text

    @property
    def status(self) -> str:
        return self.text("status")

    def predict(self) -> str:
        self.press("Predict")
        return self.answered()

    def answered(self) -> str:
        """What the page says when it is done."""
        wait_until(lambda: self.status not in ("Asking …", "None yet."))
        return self.status

    def answers(self) -> list[list[str]]:
        """The table's rows, as texts; the first is its head."""
        rows = self.driver.find_elements(By.CSS_SELECTOR, "#answers tr")
        return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]

    def wrong(self, label: str) -> str:
        """What stands at a field that is marked as wrong, as a screen reader finds it; "" where it is not marked."""
        field = self[label]
        if field.get_attribute("aria-invalid") != "true":
            return ""
        ids = str(field.get_attribute("aria-describedby")).split()
        return self.text(next(id for id in ids if id.endswith("-wrong")))

    def drop(self, name: str, content: str) -> None:
        """What the browser does when a file is let go over the page."""
        self.driver.execute_script(
            "const files = new DataTransfer(); files.items.add(new File([arguments[1]], arguments[0]));"
            "for (const type of ['dragover', 'drop']) document.querySelector('main').dispatchEvent("
            "new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true}));",
            name, content,
        )  # fmt: skip

    def complaints(self) -> list[str]:
        """What the browser has logged: a violated policy, an error of the script."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "status of 4" not in entry["message"]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        lacking("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--lang=en"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    running.set_window_size(1200, 900)
    yield running
    running.quit()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """People, behind nginx where there is one."""
    directory = tmp_path_factory.mktemp("people")
    with Native(directory, make_program(directory, model=pickle.dumps(people())), **ON) as running:
        running.until_ready()
        yield running


@pytest.fixture
def page(driver: webdriver.Chrome, server: Native) -> Iterator[Page]:
    page = Page(driver, server.url)
    yield page
    assert page.complaints() == []


Serve = Callable[..., Native]


def other(
    driver: webdriver.Chrome, serve: Serve, tmp_path: Path, model: Any = None, predictor: str = "", **environ: str
) -> Page:
    """The page of another model."""
    files = {"predictor.py": predictor} if predictor else {}
    program = make_program(tmp_path, model=pickle.dumps(model), files=files)
    return Page(driver, serve(program=program, nginx=False, **ON, **environ).until_ready().url)


def test_the_form_is_the_models_columns(page: Page) -> None:
    """A field a column with its type, categories to choose from, and a row filled in that is answered at once."""
    assert page.driver.title == "Try the model"
    assert page.text("title") == "Try model.pkl"
    assert "number, may be empty" in page.text("field-0-hint")
    assert [one.text for one in page["sex"].find_elements(By.TAG_NAME, "option")][:2] == ["female", "male"]
    known = page.driver.execute_script("return [...arguments[0].list.options].map((one) => one.value)", page["city"])
    assert sorted(known) == ["Köln", "L'Aquila", "Ulm"]
    assert page.predict().startswith("1 prediction in ")
    assert page.answers()[0] == ["row", "age", "sex", "city", "prediction"]


@pytest.mark.parametrize(
    ("age", "sex", "city"), [("20", "female", "Ulm"), ("", "male", "Köln"), ("30.50", "male", 'a "b", \\c\' 😀')]
)
def test_typing_predicts_what_the_model_says(page: Page, age: str, sex: str, city: str) -> None:
    """Typed values reach the model as they are, with gaps, quotes and characters of any plane."""
    page.type("age", age)
    page.choose("sex", sex)
    page.driver.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        page["city"],
        city,
    )
    page.predict()
    row = pd.DataFrame({"age": [float(age or "nan")], "sex": [sex], "city": [city]})
    assert page.answers()[1] == ["1", age, sex, city, people().predict(row)[0]]


def test_the_shown_requests_are_the_request(page: Page) -> None:
    """The curl command, run by a shell, and the boto3 call give the page's answer, whatever the values have in them."""
    page.type("age", "30")
    page.type("city", 'it\'s $HOME `x` "y" \\n, ü')
    page.predict()
    told = {"predictions": [page.answers()[1][-1]]}
    environ = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(["bash", "-c", page.text("curl")], capture_output=True, text=True, timeout=60, env=environ)
    assert json.loads(done.stdout) == told, done.stderr
    asked: dict[str, Any] = {}
    stub = types.ModuleType("boto3")

    def client(name: str) -> Any:
        def invoke_endpoint(**parameters: Any) -> Any:
            asked.update(parameters)
            body = types.SimpleNamespace(read=lambda: b"")
            return {"Body": body}

        return types.SimpleNamespace(invoke_endpoint=invoke_endpoint)

    stub.client = client  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "boto3", stub)
        exec(page.text("boto3"), {})
    answer = page.driver.execute_async_script(
        "const [type, accept, body, done] = arguments;"
        "fetch('invocations', {method: 'POST', headers: {'Content-Type': type, Accept: accept}, body})"
        ".then((answer) => answer.json()).then(done)",
        asked["ContentType"], asked["Accept"], asked["Body"],
    )  # fmt: skip
    assert answer == told


def test_an_error_stands_at_its_field(page: Page) -> None:
    """What the server says of a column is told at the field, which gets the focus; the next answer takes it away."""
    page.type("age", "old")
    assert page.predict() == "No prediction: the rows were refused."
    assert "expected a number, got 'old'" in page.wrong("age")
    assert page.driver.switch_to.active_element == page["age"]
    assert page.wrong("city") == ""
    assert not page.driver.find_element(By.ID, "answers").is_displayed()
    page.type("age", "50")
    assert page.predict().startswith("1 prediction")
    assert page.wrong("age") == ""


def test_a_csv_is_typed_or_dropped(page: Page) -> None:
    """A row of it a prediction, beside what was asked; a header in another order; a file that is let go on the page."""
    page["many rows, by a CSV"].click()
    page.type("Rows as CSV", "20,female,Ulm\n30,male,Köln\n")
    assert page.predict().startswith("2 predictions in ")
    assert page.answers() == [
        ["row", "age", "sex", "city", "prediction"],
        ["1", "20", "female", "Ulm", "no"],
        ["2", "30", "male", "Köln", "yes"],
    ]
    page["one row, by a form"].click()
    page.drop("rows.csv", 'city,sex,age\n"L\'Aquila",male,\n"Ulm",female,20\n"Ulm",female,40\n')
    wait_until(lambda: "Aquila" in str(page["Rows as CSV"].get_attribute("value")))
    assert page.predict().startswith("3 predictions in ")
    assert page.answers()[1] == ["1", "L'Aquila", "male", "", "yes"]
    assert "rows.csv" not in page.text("curl")


def test_a_bad_line_of_a_csv_is_selected(page: Page) -> None:
    """The message stands at the text, and the row that is to blame is selected, behind a header, too."""
    for header in ("", "age,sex,city\n"):
        page["many rows, by a CSV"].click()
        page.type("Rows as CSV", f"{header}20,female,Ulm\n\n30,other,Ulm\n")
        page.predict()
        assert "does not know the value 'other'" in page.wrong("Rows as CSV")
        chosen = page.driver.execute_script(
            "const text = arguments[0]; return text.value.slice(text.selectionStart, text.selectionEnd)",
            page["Rows as CSV"],
        )
        assert chosen == "30,other,Ulm"


def test_a_large_file_is_sent_as_it_is(page: Page, tmp_path: Path) -> None:
    """It is chosen, not shown; the table has its first rows; taken away, the text is there again."""
    page["many rows, by a CSV"].click()
    (tmp_path / "large rows.csv").write_text("20,female,Ulm\n" * 30_000)
    page["Or a file, also dropped here"].send_keys(str(tmp_path / "large rows.csv"))
    wait_until(lambda: "large rows.csv" in page.text("file-told"))
    assert page.predict().startswith("30000 predictions in ")
    assert "The first 200 are shown" in page.status
    assert len(page.answers()) == 201
    assert "'@large rows.csv'" in page.text("curl")
    page.press("Take the file away")
    assert page["Rows as CSV"].is_displayed()


def test_other_types_of_files_are_sent_as_what_they_are(page: Page) -> None:
    """JSON by its name."""
    page.drop("rows.json", '[{"age": 20, "sex": "female", "city": "Ulm"}]')
    wait_until(lambda: "application/json" in page.text("file-told"))
    page.predict()
    assert page.answers()[1] == ["1", "no"]


def test_all_of_it_is_done_with_the_keyboard(page: Page) -> None:
    """Tab goes through the controls as they are read; Enter asks; each control says what it is."""
    page.driver.execute_script("document.activeElement.blur()")
    seen = []
    for _ in range(30):
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        element = page.driver.switch_to.active_element
        if element.tag_name == "body":
            break
        assert element.accessible_name, element.get_attribute("outerHTML")
        seen.append(element.accessible_name)
    fields = seen[: seen.index("Predict")]
    assert fields[-3:] == ["age", "sex", "city"]
    assert {"Predict", "Example row", "Clear", "What the model expects"} <= set(seen)
    page["age"].send_keys(Keys.ENTER)
    assert page.answered().startswith("1 prediction")
    assert page.driver.find_element(By.ID, "status").get_attribute("aria-live") == "polite"
    assert page.driver.find_element(By.ID, "alarm").aria_role == "alert"


def test_copying_says_so(page: Page) -> None:
    """Into the clipboard, or where the browser does not allow that, selected to be copied."""
    [first, _] = [one for one in page.driver.find_elements(By.TAG_NAME, "button") if one.text == "Copy"]
    first.click()
    wait_until(lambda: "Copied." in page.status or "selected" in page.status)


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_it_fits_any_width(page: Page, width: int) -> None:
    """Nothing but tables and texts of one line scrolls sideways."""
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    try:
        page.open()
        page.predict()
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_server_that_has_gone_is_told(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """The page says that nobody answers and what starts the server; when it is back, asking works again."""
    program = make_program(tmp_path)
    running = Native(tmp_path, program, nginx=False, **ON)
    with running:
        running.until_ready()
        page = Page(driver, running.url)
        assert page.predict().startswith("1 prediction")
    page.press("Predict")
    wait_until(lambda: "serve-local.sh" in page.text("alarm"))
    port = running.url.rpartition(":")[2]
    with Native(tmp_path, program, nginx=False, **{**ON, "SAGEMAKER_BIND_TO_PORT": port}) as again:
        again.url = running.url
        again.until_ready()
        page.press("Predict")
        wait_until(lambda: page.status.startswith("1 prediction"))
        assert page.text("alarm") == ""


def test_a_model_that_says_nothing_has_a_text(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """Rows as CSV, with a word on what is not known."""
    page = other(driver, serve, tmp_path, {"a": 1}, UNKNOWN)
    assert "does not say which columns" in page.text("text-hint")
    assert not page.driver.find_element(By.ID, "ways").is_displayed()
    page.type("Rows as CSV", "1,2,3\n4,5,6\n")
    page.predict()
    assert page.answers() == [
        ["row", "value 1", "value 2", "value 3", "prediction"],
        ["1", "1", "2", "3", "3"],
        ["2", "4", "5", "6", "3"],
    ]


def test_an_array_has_a_field_for_each_place(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """Columns without names are numbered, the count is told, and an error that tells a place marks its field."""
    model = LogisticRegression().fit(np.array([[0.0, 1], [1, 0], [2, 2]]), [0, 1, 1])
    page = other(driver, serve, tmp_path, model)
    page.type("column 2", "x")
    page.predict()
    assert "expected a number" in page.wrong("column 2")
    page.type("column 2", "1e0")
    page.type("column 1", "0")
    page.predict()
    label = str(model.predict([[0.0, 1.0]])[0])
    assert page.answers() == [["row", "column 1", "column 2", "prediction"], ["1", "0", "1e0", label]]
    page["many rows, by a CSV"].click()
    assert "2 values a row" in page.text("text-hint")


def test_answers_of_several_parts_are_columns(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """Objects by their names, and a number has the digits that the server wrote."""
    page = other(driver, serve, tmp_path, LogisticRegression().fit(np.eye(2), [0, 1]), PARTS)
    page.predict()
    assert page.answers()[0][-2:] == ["n", "p"]
    assert page.answers()[1][-2:] == ["9007199254740993", "[0.5, null]"]


def test_a_picture_is_shown(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """What transformation sends as it is, the browser shows as that."""
    page = other(driver, serve, tmp_path, LogisticRegression().fit(np.eye(2), [0, 1]), PICTURE)
    assert "image/png" in page.predict()
    [picture] = page.driver.find_elements(By.CSS_SELECTOR, "#answers img")
    wait_until(lambda: page.driver.execute_script("return arguments[0].naturalWidth", picture) == 1)
    assert page.complaints() == []


def test_markup_is_text(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """In names, values and streamed predictions: it is shown as it is written, and nothing of it is done."""
    names = ["<img src=x>", "__proto__", "it's </script>"]
    model = LogisticRegression().fit(pd.DataFrame(np.eye(3), columns=names), [0, 1, 1])
    page = other(driver, serve, tmp_path, model, STREAM)
    page.type("<img src=x>", "7")
    assert page.predict().startswith("1 prediction")
    assert page.answers()[0] == ["row", *names, "prediction"]
    assert page.answers()[1][1] == "7"
    assert page.answers()[1][-1] == "<b>one</b>"
    assert page.driver.find_elements(By.CSS_SELECTOR, "main img, main b") == []
    assert page.complaints() == []


def test_texts_have_one_field(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """Lines, commas and quotes of a text stay in it."""
    texts = ["good film", "bad film"] * 3
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, ["good", "bad"] * 3)
    page = other(driver, serve, tmp_path, model)
    page.type("text", 'a "good",\ngood film')
    page.predict()
    assert page.answers() == [["row", "text", "prediction"], ["1", 'a "good",\ngood film', "good"]]


def test_objects_are_written_as_json(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """A model of objects has a text for one; what is wrong with it stands there."""
    rows = [{"city": "Ulm", "n": 1.0}, {"city": "Köln", "n": 2.0}] * 3
    model = make_pipeline(DictVectorizer(), LogisticRegression()).fit(rows, ["u", "k"] * 3)
    page = other(driver, serve, tmp_path, model)
    page.type("A row as a JSON object", '{"city": "Ulm"')
    page.predict()
    assert "JSON" in page.wrong("A row as a JSON object")
    page.type("A row as a JSON object", '{"city": "Ulm", "n": 1}')
    page.predict()
    assert page.answers() == [["row", "prediction"], ["1", "u"]]


def test_wide_models_have_a_text(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """A thousand columns are not a form: an example in CSV, and the schema beneath."""
    columns = [f"c{place}" for place in range(1000)]
    rows = pd.DataFrame(np.eye(1000)[:4], columns=columns)
    page = other(driver, serve, tmp_path, LogisticRegression().fit(rows, [0, 1, 1, 0]))
    assert "1000 values a row" in page.text("text-hint")
    assert page.predict().startswith("1 prediction")
    assert page.answers()[0][:3] == ["row", "c0", "c1"]


def test_many_categories_are_typed(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """Some thousand numbers of which one must be chosen are not a list: the number is typed, and stays one."""
    shops = pd.DataFrame({"shop": np.arange(1500)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(shops, shops["shop"] > 700)
    page = other(driver, serve, tmp_path, model)
    assert page["shop"].tag_name == "input"
    assert page.text("field-0-hint") == "one of 1500 values"
    page.type("shop", "1499")
    page.predict()
    assert page.answers()[1] == ["1", "1499", str(model.predict(pd.DataFrame({"shop": [1499]}))[0]).lower()]
    assert '{"shop": 1499}' in page.text("curl")
    page.type("shop", "1500")
    page.predict()
    assert "does not know the value" in page.wrong("shop")


def test_several_models_are_chosen_from(driver: webdriver.Chrome, serve: Serve, tmp_path: Path) -> None:
    """None loaded: how to load one. Then a list; each has a form of its own."""
    import httpx

    models = {"iris": (ASSETS / "model.pkl").read_bytes(), "people": pickle.dumps(people())}
    environ = {"SAGEMAKER_MULTI_MODEL": "true", "MODEL_SERVER_MODELS_DIR": str(tmp_path)}
    running = serve(nginx=False, **ON, **environ).until_ready()
    page = Page(driver, running.url)
    assert "none is loaded yet" in page.text("alarm")
    for name, content in models.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pkl").write_bytes(content)
        wish = json.dumps({"model_name": name, "url": str(tmp_path / name)})
        assert httpx.post(f"{running.url}/models", content=wish, timeout=60).status_code == 200
    page.press("Look again")
    wait_until(lambda: page.driver.find_element(By.ID, "model").is_displayed())
    page.predict()
    assert "petal width (cm)" in page.answers()[0]
    page.choose("Model", "people")
    page.type("age", "20")
    page.predict()
    assert page.answers()[0] == ["row", "age", "sex", "city", "prediction"]
    assert 'TargetModel="people.tar.gz"' in page.text("boto3")
    assert "/models/people/invoke" in page.text("curl")


def test_the_tests_own_model(driver: webdriver.Chrome, serve: Serve) -> None:
    """The payload that the kit brings, pasted."""
    page = Page(driver, serve(nginx=False, **ON).until_ready().url)
    page["many rows, by a CSV"].click()
    page.type("Rows as CSV", PAYLOAD.decode())
    page.predict()
    assert [row[-1] for row in page.answers()[1:4]] == ["setosa", "virginica", "virginica"]
