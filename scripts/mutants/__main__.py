"""Lets `python3 scripts/mutants` run the package."""

import sys

import command_line

if __name__ == "__main__":
    sys.exit(command_line.main())
