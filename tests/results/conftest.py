from tests.report.conftest import known_plugins, results, suite  # noqa: F401  (fixtures)
