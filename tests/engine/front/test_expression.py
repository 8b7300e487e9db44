from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.front.expression import expression

NAMES = ("facts", "refusals", "loss on code")
ROW = [0.8, 0.3, 2.0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("facts", 0.8),
        ("-facts + 2*refusals - .5", -0.7),
        ("facts ** 2 / `loss on code`", 0.32),
        ("min(facts, refusals, 1) + max(0, refusals - facts)", 0.3),
        ("abs(refusals - facts) * exp(0) - log(1) + sqrt(4)", 2.5),
        ("2 ** facts", 2**0.8),
    ],
)
def test_values(text, value):
    found = expression(text, NAMES, "utility").at(NAMES, [ROW, ROW])
    assert found == pytest.approx([value, value], abs=1e-15)


def test_names_are_found_by_name_and_in_any_order():
    found = expression("refusals - `loss on code`", NAMES, "utility")
    assert found.names == ("refusals", "loss on code")
    assert found.at(NAMES[::-1], [ROW[::-1]]) == pytest.approx([-1.7])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true')", "is not allowed"),
        ("open('x')", "no function named 'open'"),
        ("facts.__class__", "'facts.__class__' is not allowed"),
        ("facts[0]", "is not allowed"),
        ("[facts for facts in (1,)]", "is not allowed"),
        ("lambda: 1", "is not allowed"),
        ("(x := 1)", "is not allowed"),
        ("facts if 1 else 2", "is not allowed"),
        ("facts and 1", "is not allowed"),
        ("not facts", "is not allowed"),
        ("facts >= 1", "is not allowed"),
        ("facts @ facts", "is not allowed"),
        ("facts // 2", "is not allowed"),
        ("f'{facts}'", "is not allowed"),
        ("True", "True is not a number"),
        ("'a'", "'a' is not a number"),
        ("1j", "1j is not a number"),
        ("1e999", "too large"),
        ("max(*facts)", "two or more values"),
        ("max(facts)", "two or more values"),
        ("log(facts, 2)", "takes one value"),
        ("sqrt(x=facts)", "takes one value"),
        ("fact", "facts"),
        ("code", "`loss on code`"),
        ("loss on code", "cannot be read"),
        ("", "is no expression"),
        ("1" * 2000, "longer than"),
        ("(" * 300 + "1" + ")" * 300, "cannot be read"),
        ("facts; 1", "cannot be read"),
    ],
)
def test_all_else_is_refused_by_name(text, said):
    with pytest.raises(BadInput) as error:
        expression(text, NAMES, "--utility")
    assert said in str(error.value) and str(error.value).startswith("--utility: ")


def test_deep_nesting_is_an_error_and_no_crash():
    found = expression("-" * 900 + "facts", NAMES, "utility").at(NAMES, [ROW])
    assert found == pytest.approx([0.8])


def test_no_value_is_nan():
    for text in ("1 / (facts - facts)", "log(refusals - refusals)", "sqrt(-1)", "9.0 ** 9999"):
        assert np.isnan(expression(text, NAMES, "utility").at(NAMES, [ROW])).all()
    missing = expression("max(facts, refusals)", NAMES, "utility")
    assert np.isnan(missing.at(NAMES, [[np.nan, 1.0, 1.0], [1.0, np.nan, 1.0]])).all()
    assert len(missing.at(NAMES, np.zeros((0, 3)))) == 0


LEAVES = st.sampled_from(["a", "b", "0.5", "2"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        inner.map(lambda e: f"exp(-({e}))"),
        inner.map(lambda e: f"log(1 + ({e})**2)"),
        inner.map(lambda e: f"sqrt(0.1 + ({e})**2)"),
        inner.map(lambda e: f"abs({e})**1.5"),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_derivatives_are_those_of_finite_differences(text):
    found, step = expression(text, ("a", "b"), "utility"), 1e-6
    point = np.array([0.713, 1.291])
    value, slope = found.slopes(("a", "b"), [point])
    if not np.isfinite(slope).all() or np.abs(slope).max() > 1e3:
        return
    for column in range(2):
        moved = np.array([point, point])
        moved[0, column] += step
        moved[1, column] -= step
        up, down = found.at(("a", "b"), moved)
        if abs(up + down - 2 * value[0]) > 1e-9:  # a bend of min, max or abs lies between
            continue
        assert (up - down) / (2 * step) == pytest.approx(slope[0, column], rel=1e-4, abs=1e-5)
