"""What an order may become."""

from __future__ import annotations

from coresys.state import State, TransitionTable, Trigger, on

MOST = 1000


def has_amount(trigger: Trigger) -> None:
    """A validator: an order is of something, and of what we have."""
    if not 1 <= trigger.payload <= MOST:
        raise ValueError(f"an order is of 1 to {MOST}, not of {trigger.payload}")


ORDER = TransitionTable(
    "order",
    states=[
        State("new", initial=True),
        State("placed"),
        State("paid"),
        State("shipped", final=True),
        State("cancelled", final=True),
        State("trouble"),
    ],
    transitions=[
        on("place", "new", "placed", validators=[has_amount]),
        on("pay", "placed", "paid"),
        on("ship", "paid", "shipped"),
        on("fail", ["placed", "paid"], "trouble"),
        on("retry", "trouble", "placed"),
        on("cancel", ["placed", "trouble"], "cancelled"),
    ],
)
