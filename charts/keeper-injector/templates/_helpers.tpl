{{- define "keeper-injector.fullname" -}}
{{- if contains "keeper-injector" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-keeper-injector" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "keeper-injector.selectorLabels" -}}
app.kubernetes.io/name: keeper-injector
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "keeper-injector.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "keeper-injector.selectorLabels" . }}
{{- end }}

{{- define "keeper-injector.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "keeper-injector.settings" -}}
{{- $agent := printf "%s:%s" .Values.agent.image.repository (.Values.agent.image.tag | default .Chart.AppVersion) -}}
agentImage: {{ $agent }}
agentCloudImage: {{ $agent }}-cloud
agentPullPolicy: {{ .Values.agent.image.pullPolicy }}
nativeSidecars: true
# All kubelets that this API server accepts know EnvFiles only from 1.38 on: they may be three minor versions older.
envFiles: {{ semverCompare ">= 1.38.0-0" .Capabilities.KubeVersion.Version }}
{{ toYaml .Values.agent.resources }}
defaults: {{ toJson .Values.defaults }}
namespaceDefaults: {{ toJson .Values.namespaceDefaults }}
{{- end }}
