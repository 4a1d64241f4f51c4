"""Text of others, made fit to be shown: in a log, a terminal, a header of the API server."""


def one_line(text: str, limit: int) -> str:
    """Text that survives the API server's filters: printable, on one line, not too long."""
    clean = text
    if not text.isprintable():
        clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
