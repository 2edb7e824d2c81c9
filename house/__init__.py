"""What make runs: the virtual environment, the checks, the test runs.

Nothing but the standard library is used here, because this runs before
anything is installed.
"""
