from tests.nn.conftest import images, model  # noqa: F401  (fixtures)
