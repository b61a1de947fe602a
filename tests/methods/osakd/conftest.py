from fixtures.steps import family, other_family, step_of  # noqa: F401
