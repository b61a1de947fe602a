from fixtures.chromium import chromium  # noqa: F401
