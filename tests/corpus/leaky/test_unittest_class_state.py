"""A unittest.TestCase whose setUp appends to the class."""
import unittest

LEAKS = "memory.growth"


class OrdersTest(unittest.TestCase):
    orders = []

    def setUp(self):
        self.orders.append({"id": len(self.orders), "lines": [1, 2, 3]})

    def test_latest(self):
        self.assertEqual(self.orders[-1]["lines"], [1, 2, 3])


if __name__ == "__main__":
    unittest.main()
