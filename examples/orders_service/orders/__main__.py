"""python -m orders FOLDER: take up what is there, then place orders for ever, and say which were acknowledged."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orders.payments import Payments
from orders.service import Orders


def main(folder: Path) -> None:
    payments = Payments(folder / "payments.db")
    orders = Orders(folder / "orders.db", payments)
    for future in orders.resume():
        future.result()
    number = max((int(machine.name.split()[1]) for machine in orders.states), default=0)
    os.write(1, f"ready {number}\n".encode())
    while True:
        number += 1
        orders.place(f"order {number}", 1 + number % 7)
        os.write(1, f"placed order {number}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
