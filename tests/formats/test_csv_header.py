"""Where the first line of a CSV may be a header or a row, a 400 asks: no header is predicted, and no row is lost."""

import pytest

from serving.errors import BadRequest, HeaderUnclear
from serving.formats.content_types import decode
from serving.rows.signature import Column, Signature

NUMBERS = Signature("array", (Column(kind="number"),) * 3)
NAMED = Signature("frame", tuple(Column(name, "number") for name in "abc"))
TEXTS, UNKNOWN = Signature("texts", (Column(kind="text"),)), Signature()


def rows(body, content_type="text/csv", signature=NUMBERS):
    return decode(body.encode(), content_type, None, signature, 10**8).rows


def refused(error, body, content_type="text/csv", signature=NUMBERS):
    with pytest.raises(error) as caught:
        rows(body, content_type, signature)
    return caught.value


def assert_asked(body, signature, lines):
    error = refused(HeaderUnclear, body, signature=signature)
    assert "header=present" in error.message
    assert "header=absent" in error.message
    assert len(rows(body, "text/csv; header=absent", signature)) == lines
    assert len(rows(body, "text/csv; header=present", signature)) == lines - 1


@pytest.mark.parametrize("signature", [NUMBERS, UNKNOWN, Signature("array", (Column(),) * 3)])
@pytest.mark.parametrize("first", ["0,1,2", '"0","1","2"', "2019,2020,2021", "1,2,3"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_a_line_that_counts_its_columns(signature, first, end):
    """pandas writes 0,1,2,… over columns without names: over fractions a 400 asks, among whole numbers it is a row."""
    assert_asked(f"{first}{end}0.5,1.5,2.25{end}3,4,5{end}", signature, 3)
    assert_asked(f"{first}{end}-1.5e3,,nan{end}", signature, 2)
    for below in ("", f"3,4,5{end}", f"0.5,2,1.5{end}"):
        assert len(rows(f"{first}{end}{below}", signature=signature)) == 1 + bool(below)
    assert len(rows(f"5,1,2{end}0.5,1.5,2.25{end}", signature=signature)) == 2


def test_csv_a_line_that_counts_instead_of_the_names():
    """Where the model has other names, they are told: a frame made of an array has lost them."""
    for body in ("0,1,2\n0.5,1.5,2.25\n", ",0,1,2\n0,0.5,1.5,2.25\n"):
        error = refused(BadRequest, body, signature=NAMED)
        assert "a, b, c" in error.message
    assert len(rows("0,1,2\n0.5,1.5,2.25\n", "text/csv; header=absent", NAMED)) == 2


def test_csv_an_index_without_a_name():
    """What to_csv() writes by default: an index, which nobody has a name for."""
    assert rows(",a,b,c\n0,1,2,3\n", signature=NAMED).to_numpy().tolist() == [[1, 2, 3]]
    assert "index=False" in refused(HeaderUnclear, ",a,b\n0,1,2.5\n", signature=UNKNOWN).message
    frame = rows(",a,b\n0,1,2.5\n", "text/csv; header=present", UNKNOWN)
    assert frame.to_dict("records") == [{"Unnamed: 0": 0, "a": 1, "b": 2.5}]
    assert_asked(",0,1\n0,0.5,1.5\n", UNKNOWN, 2)
    words = Signature("frame", tuple(Column(name, "text") for name in "abc"))
    assert "Missing column: c" in refused(BadRequest, ",a,b\n0,x,y\n", signature=words).message


def test_csv_names_like_values_alone():
    """Where the only line holds the names and looks like values, zero rows would be as wrong as one."""
    flags = Signature("frame", (Column("0", "number"), Column("1", "number")))
    assert_asked("0,1\n", flags, 1)
    assert_asked("1,0\n\n", flags, 1)
    assert len(rows("0,1\n1,1\n", signature=flags)) == 1


@pytest.mark.parametrize("title", ["text", "Review", '"sentence"'])
@pytest.mark.parametrize("signature", [TEXTS, Signature("array", (Column(kind="text"),)), UNKNOWN])
def test_csv_a_title_over_texts(title, signature):
    """A first text that is a usual name of such a column is asked about; alone it is a text."""
    assert_asked(f"{title}\ngood film\nbad film\n", signature, 3)
    assert len(rows(f"{title}\n", signature=signature)) == 1
    assert len(rows(f"the {title[1:-1]}\ngood film\n", signature=signature)) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('"a","b","c"\n"r1",1,2,3\n', "row.names"),
        ("a,b,c\n1,2,3,\n", "comma ends"),
        ("a,b,c,\n1,2,3\n", "comma ends"),
        ("a,b,c\n1;2;3\n", "semicolons"),
    ],
)
def test_csv_rows_unlike_their_header(body, says):
    """The message tells from what a header of another width comes."""
    assert says in refused(BadRequest, body, signature=NAMED).message


def test_names_that_nobody_asks_for():
    """Names that the model does not know may stand there twice: Excel ends its lines with commas."""
    assert rows("a,b,c,,\n1,2,3,,\n", signature=NAMED).to_numpy().tolist() == [[1, 2, 3]]
    assert rows("x,a,b,c,x\n0,1,2,3,0\n", signature=NAMED).to_numpy().tolist() == [[1, 2, 3]]


def test_csv_a_name_that_looks_like_a_missing_value():
    """Among other names it is a name; a row in which each text is a category of its column stays a row."""
    words = ("Color", ("red", "blue", "Size")), ("Size", ("S", "M")), ("NA", ("NA", "none"))
    signature = Signature("frame", tuple(Column(name, "text", known) for name, known in words))
    for header in ("COLOR,SIZE,NA", "Color,Sise,NA", ",Color,NA"):
        row = "0,S,NA\n" if header[0] == "," else "red,S,NA\n"
        assert "Missing" in refused(BadRequest, f"{header}\n{row}", signature=signature).message
    assert len(rows("Size,S,NA\nred,M,none\n", signature=signature)) == 2


def test_csv_a_sample_of_a_series_knows_its_name():
    """save_sample keeps what a Series of texts is called: that line is a header."""
    named = Signature("texts", (Column("Complaint", "text"),))
    for header in ("Complaint", '"Complaint"', " Complaint "):
        assert rows(f"{header}\ngood\nbad\n", signature=named) == ["good", "bad"]
    assert rows("Complaint\ngood\n", "text/csv; header=absent", named) == ["Complaint", "good"]
    assert rows("a Complaint\ngood\n", signature=named) == ["a Complaint", "good"]
