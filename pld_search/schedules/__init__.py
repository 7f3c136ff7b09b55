"""Schedules as frozen values, and the plans that they compile to: which layers are kept, at which step and how. The
room imports only numpy and pydantic.
"""
