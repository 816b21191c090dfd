"""``python -m trackcli``, which ``torchrun -m trackcli`` needs too."""

from trackcli.cli.main import main

if __name__ == "__main__":
    main()
