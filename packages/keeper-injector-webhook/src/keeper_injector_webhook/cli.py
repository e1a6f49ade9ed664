"""The command line of the server: ``keeper-injector-webhook serve``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import keeper_injector_webhook

EXAMPLES = """\
examples:
  keeper-injector-webhook serve --certificates /tls --settings settings.yaml

To show how the webhook would change the pods of a manifest, run: keeper-injector preview FILE
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    return int(options.call(options))


def _serve(options: argparse.Namespace) -> int:
    from keeper_injector_common.logs import configure_logging
    from keeper_injector_webhook.errors import SettingsError
    from keeper_injector_webhook.serving import server
    from keeper_injector_webhook.settings import Settings, read_settings

    configure_logging(options.log_level)
    try:
        own, directory = _certificate(options)
        listen = server.ServerOptions(
            options.host,
            options.port,
            directory,
            options.poll,
            options.drain,
            own,
            options.client_ca,
            options.probe_port,
        )
        settings = read_settings(options.settings) if options.settings else Settings()
        return server.run(listen, settings)
    except SettingsError as error:
        print(f"keeper-injector-webhook: {error}", file=sys.stderr)
        return os.EX_CONFIG


def _certificate(options: argparse.Namespace) -> tuple[list[str], Path]:
    """Return the arguments of the process that reconciles the webhook's own certificate, if any, and its directory."""
    from keeper_injector_webhook.errors import SettingsError

    directory: Path | None = options.certificates if options.tls == "files" else options.directory
    if options.tls == "files":
        if directory is None:
            raise SettingsError("no certificate is set; use --certificates DIR, or --tls own")
        return [], directory
    needed = ("namespace", "secret", "service", "webhook_configuration", "directory")
    given = {name: getattr(options, name) for name in (*needed, "kubeconfig", "log_level")}
    missing = [f"--{name.replace('_', '-')}" for name in needed if not given[name]]
    if directory is None or missing:
        raise SettingsError(f"--tls own needs {', '.join(missing)}")
    return [
        part for name, value in given.items() if value for part in (f"--{name.replace('_', '-')}", str(value))
    ], directory


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keeper-injector-webhook",
        description="Inject Keeper secrets into annotated pods, as an admission webhook.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"%(prog)s {keeper_injector_webhook.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve admission reviews over HTTPS")
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")  # noqa: S104 - pods listen on all addresses
    serve.add_argument("--port", type=int, default=8443, help="port to listen on (default: %(default)s)")
    serve.add_argument("--certificates", type=Path, help="directory with tls.crt and tls.key")
    serve.add_argument(
        "--client-ca", type=Path, help="CA file (PEM); only clients with a certificate from this CA are accepted"
    )
    serve.add_argument(
        "--probe-port", type=int, help="port for probes and metrics without TLS; required with --client-ca"
    )
    own = serve.add_argument_group(
        "own certificate", "created by the webhook, and reconciled with the cluster by a subprocess of the server"
    )
    own.add_argument(
        "--tls",
        choices=["files", "own"],
        default="files",
        help="source of the certificate: --certificates, or created by the webhook (default: %(default)s)",
    )
    own.add_argument("--directory", type=Path, help="directory in which the certificate is written; use a tmpfs")
    own.add_argument("--namespace", help="namespace of the webhook")
    own.add_argument("--secret", help="Secret that stores the CA and the certificate; it must exist")
    own.add_argument("--service", help="Service through which the API server reaches the webhook")
    own.add_argument("--webhook-configuration", help="MutatingWebhookConfiguration in which the CA is written")
    own.add_argument("--kubeconfig", help="kubeconfig file, to run outside of a cluster")
    serve.add_argument(
        "--settings", type=Path, help="YAML file with the agent's image and resources, and annotation defaults"
    )
    serve.add_argument(
        "--poll",
        type=float,
        default=10.0,
        help="seconds between checks of the certificate files (default: %(default)s)",
    )
    serve.add_argument(
        "--drain", type=float, default=12.0, help="seconds to keep serving after SIGTERM (default: %(default)s)"
    )
    serve.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    serve.set_defaults(call=_serve)
    return parser


if __name__ == "__main__":
    sys.exit(main())
