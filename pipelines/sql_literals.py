"""Texts and names as SQL has them, for statements that take no parameters there."""


def sql_text(value: object) -> str:
    """Return the text of *value* in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """Return *name* in double quotes, so that it may be any word."""
    return '"' + name.replace('"', '""') + '"'
