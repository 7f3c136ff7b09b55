"""The sections of the page, one a file. Each has a function `body` that returns its content, or None when there is
nothing to show. report/page.py holds their order and titles.
"""
