"""A service of orders, on coresys: what an order may become is a table, what is done about errors another."""
