"""Decimal arithmetic in local contexts."""
from decimal import Decimal, getcontext, localcontext


def test_precision():
    with localcontext() as ctx:
        ctx.prec = 200
        third = Decimal(1) / 3
        assert len(str(third)) == 202
    assert getcontext().prec == 28
