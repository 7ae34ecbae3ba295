"""`python -m node` is `liandong`."""

from node.cli import main

if __name__ == "__main__":
    main()
