{{/* The chart's name in labels and names. */}}
{{- define "keeper-injector.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What all objects are called: at most 50 characters, so that a suffix fits into the 63 of a Service's name. */}}
{{- define "keeper-injector.fullname" -}}
{{- $name := include "keeper-injector.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The same for objects without a namespace. */}}
{{- define "keeper-injector.clusterName" -}}
{{- include "keeper-injector.fullname" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "keeper-injector.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "keeper-injector.fullname" .) }}
{{- end }}

{{/* The Secret with the webhook's certificate: one for each mode, so that nobody writes into another's after a change. */}}
{{- define "keeper-injector.tlsSecretName" -}}
{{- $full := include "keeper-injector.fullname" . -}}
{{- $names := dict "own" (print $full "-tls") "cert-manager" (print $full "-certificate") "secret" .Values.tls.secretName -}}
{{- get $names .Values.tls.mode }}
{{- end }}

{{/* What never changes in the life of a release: selectors are immutable. */}}
{{- define "keeper-injector.selectorLabels" -}}
app.kubernetes.io/name: {{ include "keeper-injector.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
{{- end }}

{{/* Labels of every object. A common label cannot replace one of ours. */}}
{{- define "keeper-injector.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $ours := dict "helm.sh/chart" $chart "app.kubernetes.io/part-of" "keeper-injector" -}}
{{- $ours = set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $ours = set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $ours (include "keeper-injector.selectorLabels" . | fromYaml) .Values.commonLabels | toYaml }}
{{- end }}

{{/*
Metadata of one object. Takes `root`; `name`; `namespace`, the release's when left out and none when empty; `labels` and
`annotations` of this object alone.
*/}}
{{- define "keeper-injector.metadata" -}}
{{- $root := .root -}}
name: {{ .name | quote }}
{{- with (hasKey . "namespace" | ternary .namespace $root.Release.Namespace) }}
namespace: {{ . | quote }}
{{- end }}
labels: {{- merge (include "keeper-injector.labels" $root | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* One image of `repository`, `digest` and `tag`. */}}
{{- define "keeper-injector.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{/*
The webhook's settings, see settings.py in keeper_injector_webhook. Values go there as they are, but for what only Helm knows:
the appVersion, and the cluster's version.
*/}}
{{- define "keeper-injector.settings" -}}
{{- $tag := .Values.agent.image.tag | default .Chart.AppVersion -}}
agent: {{- mergeOverwrite (deepCopy .Values.agent) (dict "image" (dict "tag" $tag)) | toYaml | nindent 2 }}
# Whether every kubelet knows EnvFiles (from 1.35 on): kubelets may be three minor versions older than their API server.
{{- $sure := semverCompare ">= 1.38.0-0" .Capabilities.KubeVersion.Version }}
envFiles: {{ ternary $sure (eq .Values.envFiles "always") (eq .Values.envFiles "auto") }}
defaults: {{ toJson .Values.defaults }}
namespaceDefaults: {{ toJson .Values.namespaceDefaults }}
{{- end }}
