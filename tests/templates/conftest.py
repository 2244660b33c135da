"""Property tests are not timed: a busy machine is not a defect."""

from hypothesis import settings

settings.register_profile("templates", deadline=None)
settings.load_profile("templates")
