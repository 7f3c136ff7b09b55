"""`python -m pld_search` is `pld-search`: launchers start runs this way, with their own interpreter."""

from pld_search.cli.main import main

if __name__ == "__main__":
    main()
