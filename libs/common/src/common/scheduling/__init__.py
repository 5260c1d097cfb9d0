"""When does an automation run next? Pure functions over frozen models; `common.schedule` is the public
face."""
