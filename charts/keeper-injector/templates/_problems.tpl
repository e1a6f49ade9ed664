{{/* Fail for values that contradict each other and for a conflicting release; all problems are reported at once. */}}
{{- define "keeper-injector.refuseProblems" -}}
{{- $problems := include "keeper-injector.problems" . | fromYamlArray -}}
{{- $problems = concat $problems (include "keeper-injector.defaultsOutsidePolicy" . | fromYamlArray) -}}
{{- $problems = concat $problems (include "keeper-injector: set checkOtherReleases=false if you may not list webhook configurations" . | fromYamlArray) -}}
{{- if $problems }}{{ fail (printf "\n%s" (join "\n" $problems)) }}{{ end -}}
{{- end }}

{{- define "keeper-injector.problems" -}}
{{- $v := .Values -}}
{{- if and (eq $v.tls.mode "secret") (not $v.tls.secretName) }}
- "tls.secretName: empty, but tls.mode is secret; set it to the name of a Secret with tls.crt and tls.key"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.secretName }}
- "tls.secretName: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or remove it"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.caBundle }}
- "tls.caBundle: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or remove it"
{{- end }}
{{- if and (ne $v.tls.mode "cert-manager") $v.tls.certManager.issuerRef }}
- "tls.certManager.issuerRef: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=cert-manager, or remove it"
{{- end }}
{{- $lifetime := include "keeper-injector.seconds" $v.tls.certManager.duration | int64 }}
{{- $before := include "keeper-injector.seconds" $v.tls.certManager.renewBefore | int64 }}
{{- if lt $lifetime 3600 }}
- "tls.certManager.duration: {{ $v.tls.certManager.duration }} is shorter than 1h, which cert-manager refuses; set a longer one"
{{- end }}
{{- if ge $before $lifetime }}
- "tls.certManager.renewBefore: {{ $v.tls.certManager.renewBefore }} is not less than tls.certManager.duration; set a lower value"
{{- end }}
{{- if lt $before 300 }}
- "tls.certManager.renewBefore: {{ $v.tls.certManager.renewBefore }} is shorter than 5m, which cert-manager refuses; set a longer one"
{{- end }}
{{- if and $v.relay.tls.secretName $v.relay.tls.certManager.issuerRef }}
- "relay.tls.secretName: set, but relay.tls.certManager.issuerRef is set too, which names another Secret; remove one of them"
{{- end }}
{{- $size := include "keeper-injector.settings" . | len }}
{{- if gt $size 1048000 }}
- "defaults, namespaceDefaults and policy: {{ $size }} bytes of settings, and a ConfigMap holds 1 MiB; set what most namespaces share in defaults"
{{- end }}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) }}
- "serviceAccount.name: empty, but serviceAccount.create is false; set it to the name of an existing service account"
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
- "autoscaling.minReplicas: {{ $v.autoscaling.minReplicas }} is greater than autoscaling.maxReplicas; set a lower value"
{{- end }}
{{- if and $v.networkPolicy.enabled $v.hostNetwork }}
- "networkPolicy.enabled: true, but hostNetwork is true, and network policies have no effect on such pods; use the firewall of the nodes, and set networkPolicy.enabled=false"
{{- end }}
{{- if and (eq $v.envFiles "always") (eq (include "keeper-injector.envFilesPossible" .) "false") }}
- "envFiles: always, but the API server is {{ .Capabilities.KubeVersion.Version }}, which would drop the variables; set auto, or upgrade to Kubernetes 1.35 (helm template: set --kube-version)"
{{- end }}
{{- if and $v.restartAllContainers (eq (include "keeper-injector.restartAllContainersPossible" .) "false") }}
- "restartAllContainers: true, but the API server is {{ .Capabilities.KubeVersion.Version }}, which would reject such pods or drop the rule; set false, or upgrade to Kubernetes 1.36 (helm template: set --kube-version)"
{{- end }}
{{- if and (or $v.kubernetesSecrets.serviceAccounts $v.kubernetesSecrets.secretNames) (not $v.kubernetesSecrets.namespaces) }}
- "kubernetesSecrets.namespaces: empty, so that no namespace gets the permission; list the namespaces"
{{- end }}
{{- if and $v.kubernetesSecrets.namespaces (not $v.rbac.create) }}
- "kubernetesSecrets.namespaces: set, but rbac.create is false, so that no namespace gets the permission; set rbac.create=true, or remove it"
{{- end }}
{{- if and $v.relay.enabled (not $v.relay.applications) }}
- "relay.applications: empty, but relay.enabled is true; list the Secrets with the relay's halves that keeper-injector-agent split wrote"
{{- end }}
{{- range $v.relay.frozen }}
{{- if not (has . $v.relay.applications) }}
- "relay.frozen: {{ . }} is not in relay.applications; correct the name"
{{- end }}
{{- end }}
{{- if and $v.kubernetesSecrets.namespaces (not $v.kubernetesSecrets.serviceAccounts) }}
- "kubernetesSecrets.serviceAccounts: empty, so that every pod of {{ join ", " $v.kubernetesSecrets.namespaces }} would get the permission; list the service accounts that need it, such as {shop}"
{{- end }}
{{- end }}

{{/*
Report other releases that inject into the same pods when this one is installed: only the one whose name sorts first would inject.
Releases may share a cluster if namespaceSelector separates their namespaces. Upgrades are never refused, because the release that was
there first must stay upgradable. `helm template` does not see the cluster, so it cannot find other releases.

Templates cannot catch the error of a lookup, and Helm prints the name of the template in which it happened. So this one's name says what to do.
*/}}
{{- define "keeper-injector: set checkOtherReleases=false if you may not list webhook configurations" -}}
{{- $mine := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- $name := include "keeper-injector.clusterName" . }}
{{- if and .Values.checkOtherReleases .Release.IsInstall (not .Values.namespaceSelector) }}
{{- range (lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration" "" "").items }}
{{- $release := printf "%s/%s" (dig "annotations" "meta.helm.sh/release-namespace" "?" .metadata) (dig "annotations" "meta.helm.sh/release-name" "?" .metadata) }}
{{- $ours := eq (dig "labels" "app.kubernetes.io/part-of" "" .metadata) "keeper-injector" }}
{{- /* An object of this name is this release's, even without annotations: `helm template | kubectl apply` creates it so. */}}
{{- if and $ours (ne $release $mine) (ne .metadata.name $name) }}
- "MutatingWebhookConfiguration {{ .metadata.name }}: release {{ $release }} already injects into the same pods; uninstall it, or set namespaceSelector to the namespaces of this release"
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The seconds of a duration such as `1h30m`. */}}
{{- define "keeper-injector.seconds" -}}
{{- $text := toString . -}}
{{- $hours := regexFind "[0-9]+h" $text | trimSuffix "h" | int64 -}}
{{- $minutes := regexFind "[0-9]+m" $text | trimSuffix "m" | int64 -}}
{{- $seconds := regexFind "[0-9]+s" $text | trimSuffix "s" | int64 -}}
{{- add (mul $hours 3600) (mul $minutes 60) $seconds -}}
{{- end }}

{{/* The bytes of a size such as `16Mi`. */}}
{{- define "keeper-injector.bytes" -}}
{{- $units := dict "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "" 1 -}}
{{- $text := kindIs "float64" . | ternary (int64 . | toString) (toString .) -}}
{{- mul (regexFind "^[0-9]+" $text | int64) (get $units (regexFind "[kMGi]*$" $text)) -}}
{{- end }}

{{/*
Report defaults that the policy of the same values does not allow, because the webhook refuses such settings: its new pods would not
start. The defaults of the annotations themselves are 5m and 16Mi.
*/}}
{{- define "keeper-injector.defaultsOutsidePolicy" -}}
{{- $v := .Values -}}
{{- $all := $v.policy -}}
{{- $of := $all.namespaces | default dict -}}
{{- $defaults := $v.defaults | default dict -}}
{{- $single := $v.namespaceDefaults | default dict -}}
{{- range $namespace := concat (list "") (keys $of $single | uniq | sortAlpha) }}
{{- $own := get $of $namespace | default dict }}
{{- $texts := merge (dict) (get $single $namespace | default dict) $defaults }}
{{- $where := ternary "defaults" (printf "namespaceDefaults.%s" $namespace) (eq $namespace "") }}
{{- $interval := get $texts "refresh-interval" | default "5m" }}
{{- $lowest := include "keeper-injector.seconds" ($all.minRefreshInterval | default "") | int64 }}
{{- with $own.minRefreshInterval }}
{{- $seconds := include "keeper-injector.seconds" . | int64 }}
{{- $lowest = $all.namespacesMayWiden | ternary $seconds (max $lowest $seconds | int64) }}
{{- end }}
{{- if lt (include "keeper-injector.seconds" $interval | int64) $lowest }}
- {{ printf "%s.refresh-interval: %s, but policy.minRefreshInterval does not allow less than %ds; set a longer one" $where $interval $lowest | quote }}
{{- end }}
{{- $volume := get $texts "volume-size" | default "16Mi" }}
{{- $largest := include "keeper-injector.bytes" ($all.maxVolumeSize | default "2Gi") | int64 }}
{{- with $own.maxVolumeSize }}
{{- $bytes := include "keeper-injector.bytes" . | int64 }}
{{- $largest = $all.namespacesMayWiden | ternary $bytes (min $largest $bytes | int64) }}
{{- end }}
{{- if gt (include "keeper-injector.bytes" $volume | int64) $largest }}
- {{ printf "%s.volume-size: %v, but policy.maxVolumeSize does not allow more than %d bytes; set a smaller one" $where $volume $largest | quote }}
{{- end }}
{{- end }}
{{- end }}
