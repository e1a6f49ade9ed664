"""KSM configurations in cloud stores, as far as that goes without a cloud: the image, the real clients, and what they say."""

from __future__ import annotations

import pytest
from examples import baseline, example
from pods import Namespace, Pod, wait_for

SAID = {
    "aws": "AWS Secrets Manager",
    "gcp": "Google",
    "azure": "Azure Key Vault",
}


@pytest.mark.parametrize("cloud", SAID)
def test_a_cloud_that_is_not_there(space: Namespace, cloud: str) -> None:
    """The pod has the image with the clouds' libraries, and its termination message says in a sentence what is missing."""
    baseline(space)
    space.apply(*example(cloud))
    app = Pod(space, cloud)
    assert app.object["spec"]["initContainers"][0]["image"].endswith("-cloud")

    def last_words() -> str:
        status = app.status("keeper-injector-init")
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
        return str(ended.get("message", ""))

    said = wait_for(last_words, f"the last words of the agent in {cloud}", 180)
    assert SAID[cloud] in said
    assert "Traceback" not in said
