"""What a schedule is expected to cost, in closed form, and the numbers solved from that: steps of a budget, equal
savings. Pure.
"""
