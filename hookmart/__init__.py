"""The command line: a thin skin over the packages, which none of them imports."""


def main() -> None:
    """Run `hookmart`."""
    from hookmart.commands import app  # noqa: PLC0415  # importing the package alone shall cost nothing

    app()
