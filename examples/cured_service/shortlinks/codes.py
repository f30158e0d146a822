"""Short codes: the row number of a link, in base 62."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def encode(number: int) -> str:
    if number < 0:
        raise ValueError("a code has no sign")
    digits = ""
    while True:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
        if number == 0:
            return digits


def decode(code: str) -> int:
    number = 0
    for character in code:
        number = number * 62 + ALPHABET.index(character)
    return number
