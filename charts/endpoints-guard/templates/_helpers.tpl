{{- define "endpoints-guard.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters, so that suffixes fit into 63. */}}
{{- define "endpoints-guard.fullname" -}}
{{- $name := include "endpoints-guard.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "endpoints-guard.instanceLabels" -}}
app.kubernetes.io/name: {{ include "endpoints-guard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The Pods of the Deployment, and not those of Jobs and tests. */}}
{{- define "endpoints-guard.selectorLabels" -}}
{{ include "endpoints-guard.instanceLabels" . }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "endpoints-guard.labels" -}}
{{ include "endpoints-guard.ownLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "endpoints-guard.ownLabels" -}}
{{ include "endpoints-guard.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: endpoints-guard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "endpoints-guard.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "endpoints-guard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "endpoints-guard.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* Who asks the API server whether the webhook works: the Job that activates, and `helm test`. */}}
{{- define "endpoints-guard.proofName" -}}
{{ include "endpoints-guard.fullname" . }}-activation
{{- end }}
{{- define "endpoints-guard.auditName" -}}
{{ include "endpoints-guard.fullname" . }}-audit
{{- end }}
{{- define "endpoints-guard.testName" -}}
{{ include "endpoints-guard.fullname" . }}-test
{{- end }}

{{- define "endpoints-guard.certificateSecret" -}}
{{- .Values.certificates.secretName | default (printf "%s-certs" (include "endpoints-guard.fullname" .)) }}
{{- end }}

{{- define "endpoints-guard.policyConfigMap" -}}
{{- .Values.existingPolicyConfigMap | default (printf "%s-policy" (include "endpoints-guard.fullname" .)) }}
{{- end }}

{{- define "endpoints-guard.webhookName" -}}
endpoints.endpoints-guard.io
{{- end }}

{{/* caBundle as the API wants it: base64 of PEM. */}}
{{- define "endpoints-guard.caBundle" -}}
{{- $given := .Values.certificates.caBundle | trim }}
{{- if hasPrefix "-----BEGIN" $given }}
{{- $given | b64enc }}
{{- else }}
{{- $given | replace "\n" "" }}
{{- end }}
{{- end }}

{{- define "endpoints-guard.activates" -}}
{{- if and .Values.activation.enabled (eq .Values.webhook.failurePolicy "Fail") }}true{{ end }}
{{- end }}

{{/*
failurePolicy now. A webhook that is not there yet, or that is at Ignore, stays at Ignore until the
Job of activation.yaml has seen it work. `lookup` finds nothing when there is no cluster, as in
`helm template`: then it is what the values say.
*/}}
{{- define "endpoints-guard.failurePolicy" -}}
{{- $policy := .Values.webhook.failurePolicy }}
{{- if and (include "endpoints-guard.activates" .) (lookup "v1" "Namespace" "" "kube-system") }}
{{- $kind := "ValidatingWebhookConfiguration" }}
{{- $live := lookup "admissionregistration.k8s.io/v1" $kind "" (include "endpoints-guard.fullname" .) }}
{{- $policy = "Ignore" }}
{{- range $live.webhooks }}
{{- $policy = .failurePolicy }}
{{- end }}
{{- end }}
{{- $policy }}
{{- end }}

{{- define "endpoints-guard.trustedWriters" -}}
{{- range $index, $user := . }}{{ if $index }}, {{ end }}{{ $user | toJson }}{{ end }}
{{- end }}

{{/* The container that asks the API server to store what the webhook must refuse. */}}
{{- define "endpoints-guard.proofPod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
containers:
- name: proof
  image: {{ include "endpoints-guard.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [python3, -c]
  args:
  - {{ .root.Files.Get "files/prove.py" | toYaml | indent 4 | trim }}
  env:
  - {name: SERVICE_ACCOUNT, value: /var/run/secrets/kubernetes.io/serviceaccount}
  - {name: RELEASE_NAMESPACE, value: {{ .root.Release.Namespace }}}
  - {name: WEBHOOK, value: {{ include "endpoints-guard.webhookName" .root }}}
  - {name: PATIENCE_SECONDS, value: {{ .seconds | quote }}}
  {{- with .activate }}
  - {name: ACTIVATE, value: {{ . }}}
  {{- end }}
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {memory: 128Mi}
  securityContext: {{ toYaml .root.Values.securityContext | nindent 4 }}
{{- end }}

{{/* Of a time such as 90d or 12h; of any other, 0. */}}
{{- define "endpoints-guard.seconds" -}}
{{- $units := dict "s" 1 "m" 60 "h" 3600 "d" 86400 }}
{{- if regexMatch "^[0-9]+[smhd]$" . }}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[smhd]$" .)) }}
{{- else }}0{{ end }}
{{- end }}
