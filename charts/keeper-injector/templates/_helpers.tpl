{{/* The chart's name in the names of objects. */}}
{{- define "keeper-injector.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects: at most 50 characters, so that a name with a suffix fits into the 63 of a Service. */}}
{{- define "keeper-injector.fullname" -}}
{{- $name := include "keeper-injector.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The namespace of the webhook: that of the release, if no value overrides it. */}}
{{- define "keeper-injector.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{/* The name of objects without a namespace. */}}
{{- define "keeper-injector.clusterName" -}}
{{- include "keeper-injector.fullname" . }}-{{ include "keeper-injector.namespace" . }}
{{- end }}

{{- define "keeper-injector.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "keeper-injector.fullname" .) }}
{{- end }}

{{/*
Whether the policy for the webhook's account is rendered: `true` or `false`. A connected Helm and Argo CD know the kinds of the cluster;
`helm template` knows only a version, and policies are in every version that the chart supports.
*/}}
{{- define "keeper-injector.admissionPolicy" -}}
{{- $versions := .Capabilities.APIVersions -}}
{{- $known := $versions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- $served := ternary $known true ($versions.Has "v1/Pod") -}}
{{- and .Values.admissionPolicy.enabled (eq .Values.tls.mode "own") $served }}
{{- end }}

{{/* The Secret with the webhook's certificate: one for each mode, so that a change of the mode never reuses a Secret. */}}
{{- define "keeper-injector.tlsSecretName" -}}
{{- $full := include "keeper-injector.fullname" . -}}
{{- $names := dict "own" (print $full "-tls") "cert-manager" (print $full "-certificate") "secret" .Values.tls.secretName -}}
{{- get $names .Values.tls.mode }}
{{- end }}

{{/* Labels that never change during the life of a release, because selectors are immutable. */}}
{{- define "keeper-injector.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
{{- end }}

{{/* Labels of every object. A common label cannot override one of the chart. */}}
{{- define "keeper-injector.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $ours := dict "helm.sh/chart" $chart "app.kubernetes.io/part-of" "keeper-injector" -}}
{{- $ours = set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $ours = set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $ours (include "keeper-injector.selectorLabels" . | fromYaml) (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/*
Metadata of one object. Arguments: `root`; `name`; `namespace` (missing: that of the release; empty: none); `component` (missing: the
webhook); `labels` and `annotations` of this object only.
*/}}
{{- define "keeper-injector.metadata" -}}
{{- $root := .root -}}
name: {{ .name | quote }}
{{- with (hasKey . "namespace" | ternary .namespace (include "keeper-injector.namespace" $root)) }}
namespace: {{ . | quote }}
{{- end }}
{{- $component := .component | default "webhook" | dict "app.kubernetes.io/component" }}
labels: {{- merge $component (include "keeper-injector.labels" $root | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A repository, in the registry of `global.imageRegistry` if that is set. Arguments: `root` and `repository`. */}}
{{- define "keeper-injector.repository" -}}
{{- $registry := dig "imageRegistry" "" (.root.Values.global | default dict) | trimSuffix "/" -}}
{{- $path := regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" .repository "" -}}
{{- ternary (printf "%s/%s" $registry $path) .repository (ne $registry "") }}
{{- end }}

{{/* The full name of an image from `repository`, `digest` and `tag`. */}}
{{- define "keeper-injector.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{/* Whether the API server supports EnvFiles: `true` or `false`. */}}
{{- define "keeper-injector.envFilesPossible" -}}
{{- semverCompare ">= 1.35.0-0" .Capabilities.KubeVersion.Version }}
{{- end }}

{{/* Whether the API server supports RestartAllContainers: `true` or `false`. */}}
{{- define "keeper-injector.restartAllContainersPossible" -}}
{{- semverCompare ">= 1.36.0-0" .Capabilities.KubeVersion.Version }}
{{- end }}

{{/*
The webhook's settings; keeper_injector_webhook/settings.py reads them. Values are passed on as they are, except for those that need
Helm's knowledge: the appVersion and the version of the cluster.
*/}}
{{- define "keeper-injector.settings" -}}
{{- $tag := .Values.agent.image.tag | default .Chart.AppVersion -}}
{{- $repository := include "keeper-injector.repository" (dict "root" . "repository" .Values.agent.image.repository) -}}
agent: {{- mergeOverwrite (deepCopy .Values.agent) (dict "image" (dict "tag" $tag "repository" $repository)) | toYaml | nindent 2 }}
# Whether every kubelet supports EnvFiles (from 1.35): kubelets may be three minor versions older than their API server.
{{- $sure := semverCompare ">= 1.38.0-0" .Capabilities.KubeVersion.Version }}
envFiles: {{ ternary $sure (eq .Values.envFiles "always") (eq .Values.envFiles "auto") }}
# Older API servers drop the field, and the container would start without its variables.
envFilesPossible: {{ include "keeper-injector.envFilesPossible" . }}
restartAllContainers: {{ .Values.restartAllContainers }}
# Older API servers reject the pod, or drop the rule.
restartAllContainersPossible: {{ include "keeper-injector.restartAllContainersPossible" . }}
defaults: {{ toJson .Values.defaults }}
namespaceDefaults: {{ toJson .Values.namespaceDefaults }}
policy: {{ toJson .Values.policy }}
{{- end }}

{{/* What ServiceMonitor and PodMonitor have in common: one endpoint. Argument: the section of the values. */}}
{{- define "keeper-injector.endpoint" -}}
port: https
scheme: https
path: /metrics
{{- with .interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
{{- with .tlsConfig }}
tlsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
