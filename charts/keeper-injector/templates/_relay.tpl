{{/* The name of the relay's objects. */}}
{{- define "keeper-injector.relayName" -}}
{{- include "keeper-injector.fullname" . }}-relay
{{- end }}

{{/* The Secret with the relay's certificate; empty if it serves HTTP. */}}
{{- define "keeper-injector.relayTlsSecretName" -}}
{{- if .Values.relay.tls.certManager.issuerRef }}{{ include "keeper-injector.relayName" . }}-certificate{{ else }}{{ .Values.relay.tls.secretName }}{{ end }}
{{- end }}

{{/* Labels that select the relay's pods. */}}
{{- define "keeper-injector.relayLabels" -}}
{{- set (include "keeper-injector.selectorLabels" . | fromYaml) "app.kubernetes.io/component" "relay" | toYaml }}
{{- end }}

{{/* The configuration of the relay's web server. */}}
{{- define "keeper-injector.relayServer" -}}
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes 1;
events { worker_connections 16384; }
http {
  # Paths name applications, which only their pods know.
  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  sendfile on;
  # Agents ask every 15 seconds over a connection that stays open.
  keepalive_timeout 75s;
  keepalive_requests 100000;
  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 30s;
  reset_timedout_connection on;
  client_max_body_size 1;
  {{- if include "keeper-injector.relayTlsSecretName" . }}
  # With a variable in its name, a file is read at each handshake, so a renewed certificate needs no reload.
  map "" $tls { default /tls/tls; }
  {{- end }}
  server {
    {{- if include "keeper-injector.relayTlsSecretName" . }}
    listen 8080 ssl;
    ssl_certificate $tls.crt;
    ssl_certificate_key $tls.key;
    {{- else }}
    listen 8080;
    {{- end }}
    root /relay/published;
    # Only the names that the relay writes, never a listing.
    location ~ "^/v1/[0-9a-f]{64}/(head\.json|index-[0-9a-f]{64}|[rf]/[0-9a-f]{64})$" { limit_except GET { deny all; } }
    location = /readyz { alias /relay/published/ready; }
    location / { return 404; }
  }
  server {
    listen 9113;
    default_type text/plain;
    location = /metrics { alias /relay/published/metrics; }
    location / { return 404; }
  }
}
{{- end }}
