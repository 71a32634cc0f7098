"""Counts in sentences, with the noun in the right number."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 clip" or "2,000 clips".

    Args:
        number: Number of things.
        noun: Noun in the singular, whose plural ends in "s".
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count_left_out(number: int, noun: str, which: str = "") -> str:
    """Return a clause such as "2 clips without ratings are left out".

    Args:
        number: Number of things.
        noun: Noun in the singular, whose plural ends in "s".
        which: Words after the noun, such as "without ratings".
    """
    return f"{' '.join(filter(None, [counted(number, noun), which]))} {'is' if number == 1 else 'are'} left out"
