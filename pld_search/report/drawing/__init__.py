"""Pictures as values: shapes with known boxes, written as SVG for the page and as PDF for papers.

All coordinates are in points; the origin of a drawing is its upper left corner. The box of every text is known before
anything is drawn, so a test can check that no two texts overlap.
"""
