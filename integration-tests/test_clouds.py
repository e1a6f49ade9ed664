"""KSM configurations in cloud stores, as far as it can be tested without a cloud: the image, the real clients and their messages."""

from __future__ import annotations

from examples import baseline, example
from pods import Namespace, Pod, wait_for

SAID = {
    "aws": "AWS Secrets Manager",
    "gcp": "Google",
    "azure": "Azure Key Vault",
}


def test_clouds_that_are_not_there(space: Namespace) -> None:
    """Pods get the image with the cloud libraries; each termination message says in one sentence what is missing."""
    baseline(space)
    for cloud in SAID:
        space.apply(*example(cloud))
    for cloud, name in SAID.items():
        app = Pod(space, cloud)
        assert app.object["spec"]["initContainers"][0]["image"].endswith("-cloud")
        said = wait_for(app.last_words, f"the last words of the agent in {cloud}", 300)
        assert name in said
        assert "Traceback" not in said
