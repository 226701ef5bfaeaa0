"""The matrix of what was compared after restores."""

from __future__ import annotations

from tests.tools.test_report import Matrix, merged_exactness, of_exactness

FIRST: Matrix = {"2.10.3": {"dag_run": {"rows": 2, "equal": True}, "xcom": {"rows": 1, "equal": False}}}
SECOND: Matrix = {
    "2.10.3": {"dag_run": {"rows": 3, "equal": True}, "xcom": {"rows": 1, "equal": True}},
    "3.3.1": {"asset": {"rows": 4, "equal": True}},
}


def test_rows_add_up_and_one_difference_stays() -> None:
    assert merged_exactness([FIRST, SECOND]) == {
        "2.10.3": {"dag_run": {"rows": 5, "equal": True}, "xcom": {"rows": 2, "equal": False}},
        "3.3.1": {"asset": {"rows": 4, "equal": True}},
    }


def test_the_table_shows_what_differs_and_what_a_version_has_not() -> None:
    lines = list(of_exactness(merged_exactness([SECOND, FIRST])))
    assert "| table | 2.10.3 | 3.3.1 |" in lines
    assert "| asset |  | 4 |" in lines
    assert "| dag_run | 5 |  |" in lines
    assert "| xcom | 2 **differ** |  |" in lines
