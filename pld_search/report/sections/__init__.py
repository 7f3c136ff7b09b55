"""The sections of the page, one a file: each has a `body` that gives its content, or None where there is nothing to
show. Their order and titles stand in report/page.py.
"""
