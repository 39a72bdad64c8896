"""`python -m dmtsearch`: the same as the command."""

from dmtsearch.cli.entry import main

if __name__ == "__main__":
    main()
