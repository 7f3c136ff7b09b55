"""The expected cost of a schedule in closed form, and numbers solved from it: steps of a budget, equal savings. The
room is pure, except that it reads schedules, experiments and profiles from files.
"""
