"""Three hundred products, looked at by chance, each kept once seen."""
import random

_products = {}


class Product:
    def __init__(self, number):
        self.number = number
        self.title = f"Product {number}"
        self.tags = ["new", self.title.lower()]


def product(number):
    try:
        return _products[number]
    except KeyError:
        _products[number] = Product(number)
        return _products[number]


def test_product():
    number = random.randrange(300)
    assert product(number).number == number
