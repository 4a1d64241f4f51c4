"""Text of others, made fit to be shown, and the word that they probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_NEAR: Final = 0.7
"""How alike two words are, from 0 to 1, before one is taken for a slip of the other."""


def one_line(text: str, limit: int) -> str:
    """Text that survives the API server's filters: printable, on one line, not too long."""
    clean = text
    if not text.isprintable():
        clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question with which an error about an unknown word ends; empty when none is near."""
    by_folded = {each.casefold(): each for each in known}
    near = get_close_matches(word.casefold(), by_folded, n=1, cutoff=_NEAR)
    return f". Did you mean {by_folded[near[0]]}?" if near else ""
