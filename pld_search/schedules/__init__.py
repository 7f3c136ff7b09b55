"""What is kept, when and where: schedules as frozen values and the plans they compile to. Pure: numpy and pydantic
only.
"""
