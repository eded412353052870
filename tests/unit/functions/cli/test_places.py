"""What the console knows of a cluster that it looks at from afar."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from functions.cli.places import _processors
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.support.fake_kubectl import config_map
from tests.support.manifests import ROOT

OPEN = ROOT / "shared" / "workflow" / "processors" / "open.yaml"
IN_CLUSTER = "/etc/s2ps/processors"


def named(site: str) -> str:
    """The open processors under another site's name."""
    return yaml.safe_dump({**yaml.safe_load(OPEN.read_text()), "site": site})


def test_processor_sets_of_settings_and_strategies_are_read_from_the_cluster() -> None:
    held = config_map("s2ps-processors", {"mine.yaml": named("MINE"), "next.yaml": named("NEXT"), "ca.crt": "..."})
    settings = Settings(processor_set=f"{IN_CLUSTER}/mine.yaml")
    with _processors(settings, held) as services:
        assert services.workflow.site == "MINE"
        assert services.workflow_in("").site == "MINE"
        assert services.workflow_in(f"{IN_CLUSTER}/next.yaml").site == "NEXT"
        assert services.workflow_in("esa").set_name == "esa"
        with pytest.raises(ConfigurationError, match=r"gone\.yaml"):
            services.workflow_in(f"{IN_CLUSTER}/gone.yaml")
        folder = Path(services.settings.processor_set).parent
    assert not folder.exists()


def test_a_cluster_without_sets_of_its_own() -> None:
    with _processors(Settings(), None) as services:
        assert services.workflow.set_name == "open"
