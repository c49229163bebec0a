"""`python -m hookmart`."""

from hookmart import main

if __name__ == "__main__":
    main()
