"""Where the console looks: a run on this machine, a cluster, or a store that the environment names."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from eventing.local import control
from eventing.local.config import RunDir, settings_from
from functions.cli.kube import Kubectl, plain_data, routed
from functions.cli.options import DEFAULT_RUN, Where
from shared.bootstrap import Services
from shared.errors import ConfigurationError, S2psError
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from shared.workflow.graph import Workflow

NAMESPACE: Final = "s2ps"
SETTINGS: Final = "s2ps-settings"
SECRETS: Final = "s2ps-secrets"
PROCESSORS: Final = "s2ps-processors"
ENDPOINT: Final = "S2PS_STORE_ENDPOINT"
_IN_CLUSTER: Final = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\..+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command looks. ``flags``: the options that lead another command to the same place."""

    kind: Literal["run", "cluster", "store"]
    name: str
    services: Services
    flags: tuple[str, ...] = ()
    run: RunDir | None = None
    namespace: str = ""


@contextmanager
def opened(where: Where, environment: Mapping[str, str] | None = None) -> Iterator[Place]:
    """The place that a command line means, as long as the block lasts.

    Raises:
        ConfigurationError: there is none, or its settings are wrong.
        RetryableError: the cluster did not answer.
    """
    given = os.environ if environment is None else environment
    if where.run_dir is not None:
        if where.cluster:
            raise ConfigurationError("--run-dir: expected no --namespace, --context or --kubeconfig beside it")
        yield _run(where.run_dir, ("--run-dir", str(where.run_dir)))
    elif where.cluster:
        with _cluster(where, given) as place:
            yield place
    elif given.get(ENDPOINT) or given.get("S2PS_STORE_KIND") == "aws":
        yield Place("store", given.get(ENDPOINT) or "AWS", Services(load_settings()))
    elif control.is_served(RunDir.at(DEFAULT_RUN)):
        yield _run(DEFAULT_RUN, ())
    else:
        with _current_cluster(where, given) as place:
            yield place


def _run(folder: Path, flags: tuple[str, ...]) -> Place:
    run = RunDir.at(folder)
    found = control.state(run)
    if found is None:
        raise ConfigurationError(f"the run {run.path} is not up; `s2ps up --run-dir {folder}` brings it up")
    return Place("run", str(run.path), Services(settings_from(found.settings)), flags, run)


@contextmanager
def _current_cluster(where: Where, environment: Mapping[str, str]) -> Iterator[Place]:
    """The cluster of kubectl's current context, where the service is there; else the sentence that names the ways."""
    ways = (
        f"--run-dir names a run (the default one, {DEFAULT_RUN}, is not up; `s2ps up` brings it up), -n a namespace of "
        f"a cluster, {ENDPOINT} a store"
    )
    with ExitStack() as held:
        try:
            place = held.enter_context(_cluster(where, environment, timeout_s=5))
        except S2psError as error:
            raise ConfigurationError(f"nowhere to look: {ways}; the current cluster was tried: {error}") from None
        yield place


@contextmanager
def _cluster(where: Where, environment: Mapping[str, str], timeout_s: int = 10) -> Iterator[Place]:
    namespace = where.namespace or NAMESPACE
    kubectl = Kubectl(namespace, where.context, where.kubeconfig, timeout_s)
    found = kubectl.get(f"configmap/{SETTINGS}", f"secret/{SECRETS}", f"configmap/{PROCESSORS}")
    if f"configmap/{SETTINGS}" not in found:
        raise ConfigurationError(f"namespace {namespace}: expected a ConfigMap {SETTINGS} there; is it the service's?")
    settings = cluster_settings(
        {
            **plain_data(found[f"configmap/{SETTINGS}"]),
            **(plain_data(found[f"secret/{SECRETS}"]) if f"secret/{SECRETS}" in found else {}),
            **({ENDPOINT: environment[ENDPOINT]} if environment.get(ENDPOINT) else {}),
        }
    )
    flags = ["-n", namespace]
    flags += ["--context", where.context] if where.context else []
    flags += ["--kubeconfig", str(where.kubeconfig)] if where.kubeconfig else []
    with ExitStack() as held:
        services = held.enter_context(_processors(settings, found.get(f"configmap/{PROCESSORS}")))
        _lead_to_store(settings, kubectl, held)
        name = f"namespace {namespace}, context {kubectl.current_context() or 'of kubectl'}"
        yield Place("cluster", name, services, tuple(flags), None, namespace)


def cluster_settings(environment: Mapping[str, str]) -> Settings:
    """The settings of a cluster's environment. Those that only a newer version of the service knows are passed over."""
    names = {f"S2PS_{name.upper()}" for name in Settings.model_fields}
    return settings_from({name: value for name, value in environment.items() if name in names})


def _lead_to_store(settings: Settings, kubectl: Kubectl, held: ExitStack) -> None:
    """Where the store's name means something in the cluster only, a port of this machine leads to it."""
    url = urlsplit(settings.store_endpoint)
    host = url.hostname or ""
    match = _IN_CLUSTER.fullmatch(host)
    if match is None:
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    local = held.enter_context(kubectl.forward(match[2], match[1], port))
    held.enter_context(routed(host, port, local))


@contextmanager
def _processors(settings: Settings, found: Mapping[str, Any] | None) -> Iterator[Services]:
    """Services that can read the operators' own processor sets here: in the cluster they are files of a ConfigMap."""
    files = plain_data(found) if found is not None else {}
    with tempfile.TemporaryDirectory(prefix="s2ps-") as folder:
        for name, text in files.items():
            (Path(folder) / PurePosixPath(name).name).write_text(text, encoding="utf-8")
        own = PurePosixPath(settings.processor_set).name
        if "/" in settings.processor_set and own in files:
            settings = settings.model_copy(update={"processor_set": str(Path(folder) / own)})
        yield _Distant(settings, folder=Path(folder))


@dataclass(frozen=True)
class _Distant(Services):
    """Those of a cluster that is looked at from here; ``folder`` holds the files of its operators."""

    folder: Path = Path()

    def workflow_in(self, processor_set: str) -> Workflow:
        """As in the cluster: sets that strategies name by a path, too."""
        here = self.folder / PurePosixPath(processor_set).name
        return super().workflow_in(str(here) if "/" in processor_set and here.is_file() else processor_set)
