"""Compares a study's systems: tables, figures and one self-contained page, drawn from `study.jsonl` and the runs'
events alone.
"""
