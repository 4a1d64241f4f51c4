"""What the gateway's tests share."""

import pytest

from tests.gateway_process import ServingCertificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServingCertificate:
    return ServingCertificate(tmp_path_factory.mktemp("certificate"))
