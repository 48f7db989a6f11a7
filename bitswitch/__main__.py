"""``python -m bitswitch``: the command line."""

from bitswitch.cli.entry import main

if __name__ == "__main__":
    main()
