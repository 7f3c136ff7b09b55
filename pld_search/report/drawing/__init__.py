"""Pictures as values: shapes with known boxes, drawn as SVG for the page and as PDF for papers.

Everything is in points of a drawing whose origin is its upper left corner. Because the box of every text is known
before anything is drawn, a test can hold that no two overlap.
"""
