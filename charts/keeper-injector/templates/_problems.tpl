{{/* Values that contradict each other, and another release; all of them are said at once. */}}
{{- define "keeper-injector.refuseProblems" -}}
{{- $problems := include "keeper-injector.problems" . | fromYamlArray -}}
{{- $problems = concat $problems (include "keeper-injector.otherReleases" . | fromYamlArray) -}}
{{- if $problems }}{{ fail (printf "\n%s" (join "\n" $problems)) }}{{ end -}}
{{- end }}

{{- define "keeper-injector.problems" -}}
{{- $v := .Values -}}
{{- if and (eq $v.tls.mode "secret") (not $v.tls.secretName) }}
- "tls.secretName: empty, and tls.mode is secret; name the Secret with tls.crt and tls.key"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.secretName }}
- "tls.secretName: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or leave it empty"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.caBundle }}
- "tls.caBundle: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or leave it empty"
{{- end }}
{{- if and (ne $v.tls.mode "cert-manager") $v.tls.certManager.issuerRef }}
- "tls.certManager.issuerRef: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=cert-manager, or leave it empty"
{{- end }}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) }}
- "serviceAccount.name: empty, and serviceAccount.create is false; name one that exists"
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
- "autoscaling.minReplicas: {{ $v.autoscaling.minReplicas }} is more than autoscaling.maxReplicas; make it less"
{{- end }}
{{- if and (or $v.kubernetesSecrets.serviceAccounts $v.kubernetesSecrets.secretNames) (not $v.kubernetesSecrets.namespaces) }}
- "kubernetesSecrets.namespaces: empty, so that nobody gets the right; name the namespaces"
{{- end }}
{{- end }}

{{/*
Two releases that take the same pods: the first to be asked would inject, by the order of their names. Where namespaceSelector
divides the namespaces, they may. `helm template` sees no cluster, and so no other release.
*/}}
{{- define "keeper-injector.otherReleases" -}}
{{- $mine := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- if not .Values.namespaceSelector }}
{{- range (lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration" "" "").items }}
{{- $release := printf "%s/%s" (dig "annotations" "meta.helm.sh/release-namespace" "?" .metadata) (dig "annotations" "meta.helm.sh/release-name" "?" .metadata) }}
{{- $ours := eq (dig "labels" "app.kubernetes.io/part-of" "" .metadata) "keeper-injector" }}
{{- if and $ours (ne $release $mine) }}
- "MutatingWebhookConfiguration {{ .metadata.name }}: release {{ $release }} injects into the same pods already; uninstall it, or say in namespaceSelector which namespaces are this release's"
{{- end }}
{{- end }}
{{- end }}
{{- end }}
