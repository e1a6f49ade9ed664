"""The command line of the server: ``keeper-injector-webhook serve``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import keeper_injector_webhook

EXAMPLES = """\
examples:
  keeper-injector-webhook serve --certificates /tls --settings settings.yaml

To show how the webhook would change the pods of a manifest, without a
cluster, run: keeper-injector preview FILE
"""
_LOG_LEVELS = ("debug", "info", "warning", "error")
_FOR_OWN_CERTIFICATE = ("namespace", "secret", "service", "webhook_configuration", "directory")
"""The options that ``--tls own`` requires, as attributes of the parsed arguments."""


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is stopped, and return its exit code."""
    # Imported after the arguments are parsed, so that --help and invalid arguments are answered at once.
    options = build_parser().parse_args(arguments)
    from keeper_injector_common.logs import configure_logging
    from keeper_injector_webhook.errors import SettingsError
    from keeper_injector_webhook.serving import ServerOptions, serve
    from keeper_injector_webhook.settings import Settings, read_settings

    configure_logging(options.log_level)
    try:
        directory, own = _certificate(options)
        server_options = ServerOptions(
            host=options.host,
            port=options.port,
            certificates=directory,
            poll=options.poll,
            drain=options.drain,
            own=own,
            client_ca=options.client_ca,
            probe_port=options.probe_port,
        )
        settings = read_settings(options.settings) if options.settings else Settings()
        return serve(server_options, settings)
    except SettingsError as error:
        print(f"keeper-injector-webhook: {error}", file=sys.stderr)
        return error.exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="keeper-injector-webhook",
        description="Inject Keeper secrets into annotated pods, as an admission webhook.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"%(prog)s {keeper_injector_webhook.__version__}"
    parser.add_argument("--version", action="version", version=version, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "serve admission reviews over HTTPS"
    _add_options(
        commands.add_parser(
            "serve",
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return parser


def _add_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")  # noqa: S104 - pods listen on all addresses
    serve.add_argument("--port", type=int, default=8443, help="port to listen on (default: %(default)s)")
    serve.add_argument("--certificates", type=Path, metavar="DIR", help="directory with tls.crt and tls.key")
    serve.add_argument(
        "--client-ca",
        type=Path,
        metavar="FILE",
        help="CA file (PEM); only clients with a certificate from this CA are accepted",
    )
    serve.add_argument(
        "--probe-port",
        type=int,
        metavar="PORT",
        help="port for probes and metrics without TLS; required with --client-ca",
    )
    serve.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML file with the agent's image and resources, and annotation defaults",
    )
    serve.add_argument(
        "--poll",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="seconds between checks of the certificate files (default: %(default)s)",
    )
    serve.add_argument(
        "--drain",
        type=float,
        default=12.0,
        metavar="SECONDS",
        help="seconds to keep serving after SIGTERM (default: %(default)s)",
    )
    serve.add_argument(
        "--log-level", default="info", choices=_LOG_LEVELS, help="least severe level to log (default: %(default)s)"
    )
    own = serve.add_argument_group(
        "own certificate", "created by the webhook, and reconciled with the cluster by a subprocess of the server"
    )
    own.add_argument(
        "--tls",
        choices=["files", "own"],
        default="files",
        help="use the files in --certificates, or the webhook's own certificate (default: %(default)s)",
    )
    own.add_argument(
        "--directory", type=Path, metavar="DIR", help="directory in which the certificate is written; use a tmpfs"
    )
    own.add_argument("--namespace", metavar="NAME", help="namespace of the webhook")
    own.add_argument("--secret", metavar="NAME", help="Secret that stores the CA and the certificate; it must exist")
    own.add_argument("--service", metavar="NAME", help="Service through which the API server reaches the webhook")
    own.add_argument(
        "--webhook-configuration", metavar="NAME", help="MutatingWebhookConfiguration in which the CA is written"
    )
    own.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file, to run outside of a cluster")


def _certificate(options: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the directory of the certificate, and the arguments of the process that reconciles it.

    There are no arguments if the certificate is not the webhook's own. Raises SettingsError if an option is missing.
    """
    from keeper_injector_webhook.errors import SettingsError

    if options.tls == "files":
        if options.certificates is None:
            raise SettingsError("no certificate is set; use --certificates DIR, or --tls own")
        return options.certificates, []
    if missing := [_option(name) for name in _FOR_OWN_CERTIFICATE if not getattr(options, name)]:
        raise SettingsError(f"--tls own needs {', '.join(missing)}")
    passed_on = (*_FOR_OWN_CERTIFICATE, "kubeconfig", "log_level")
    set_options = [(_option(name), str(value)) for name in passed_on if (value := getattr(options, name))]
    return options.directory, [word for pair in set_options for word in pair]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


if __name__ == "__main__":
    sys.exit(main())
