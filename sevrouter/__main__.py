"""`python -m sevrouter`."""

from sevrouter.cli import main

if __name__ == "__main__":
    main()
