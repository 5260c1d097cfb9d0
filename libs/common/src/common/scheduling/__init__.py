"""When does an automation run next? Pure functions over frozen models.

`common.scheduling.schedule` is the public face.
"""
