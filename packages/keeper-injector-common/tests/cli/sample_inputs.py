"""A pod and a plan that tests of several commands use."""

from __future__ import annotations

from typing import Any

POD = """\
kind: Pod
metadata:
  name: web
  annotations:
    keeper.security/inject: "true"
    keeper.security/config: |
      secrets:
        - {record: db, path: /app/db.env, mode: "0440", containers: [app]}
        - {record: TLS, file: server.pem, path: /app/server.pem, containers: [app]}
      folders: [{path: Prod/DB, outputPath: /app/all, recursive: true, containers: [other]}]
    keeper.security/env-PW: db[password]
    keeper.security/signal: HUP
    keeper.security/notify-url: http://127.0.0.1:8080/x
    keeper.security/refresh-interval: 90s
spec: {containers: [{name: app, command: [/app]}, {name: other, command: [/other]}]}
"""
PLAN: dict[str, Any] = {
    "version": 1,
    "credentials": {"method": "secret", "path": "/keeper/credentials/config"},
    "state": "/keeper/state",
    "refreshInterval": 300.0,
    "failOnError": True,
    "volumeSize": 16777216,
    "directories": [
        {
            "path": "/keeper/volumes/keeper-secrets-0",
            "target": "/app",
            "files": [
                {"name": "db.env", "sources": ["db"], "format": "env", "mode": "0400"},
                {"name": "dsn", "sources": ["db"], "template": "{{ .login }}@{{ .host.hostName }}", "mode": "0400"},
                {"name": "cert", "sources": ["keeper://TLS/file/server.pem"], "format": "raw", "mode": "0444"},
            ],
            "folders": [{"folder": "Prod", "mode": "0400", "format": "json", "recursive": True, "below": "all"}],
        }
    ],
    "environments": [
        {
            "path": "/keeper/volumes/keeper-env-0",
            "style": "exec",
            "mode": "0400",
            "variables": [{"name": "PW", "source": "db[password]"}],
            "records": [{"source": "db", "prefix": "DB_", "fields": ["login"]}],
        }
    ],
}
INVALID_METADATA = 'metadata: {name: a, annotations: {keeper.security/inject: "true", keeper.security/secret: "db["}}'
"""The metadata of a pod with an invalid annotation."""
