import pytest

from tests.toy import make_toy_bundle


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory) -> str:
    return make_toy_bundle(str(tmp_path_factory.mktemp("bundles") / "toy"))
