{{- define "processor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "processor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "processor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "processor.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "processor.selectorLabels" -}}
app.kubernetes.io/name: {{ include "processor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What carries records, and not the pod of `helm test`. */}}
{{- define "processor.connectorLabels" -}}
{{ include "processor.selectorLabels" . }}
app.kubernetes.io/component: connector
{{- end -}}

{{- define "processor.labels" -}}
{{ include "processor.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "processor.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "processor.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "processor.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "processor.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* A table as TOML: first its own keys, then the tables below it. JSON's scalars, lists and quoted
keys are TOML's as well. Takes a dict of "table" and "path" (its name so far). */}}
{{- define "processor.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "processor.tomlKey" $key }} = {{ $value | toJson }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value }}
{{- $inner := include "processor.tomlKey" $key -}}
{{- if $path }}{{ $inner = printf "%s.%s" $path $inner }}{{ end }}

[{{ $inner }}]
{{- include "processor.toml" (dict "table" $value "path" $inner) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Refuses a table that holds a secret's value: a ConfigMap is no place for it. */}}
{{- define "processor.noSecrets" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- include "processor.noSecrets" (dict "table" $value "path" (printf "%s.%s" $path $key)) -}}
{{- else if and $value (regexMatch "(?i)((password|secret|secret_next|token|key|authorization|credentials?)|ssl[.]key[.]pem|sasl[.]oauthbearer[.]config|sasl[.]jaas[.]config)$" $key) -}}
{{- fail (printf "%s.%s is a secret: put it into the Secret (secrets.existingSecret) and name its file, %s_file: /run/secrets/processor/..." $path $key $key) -}}
{{- else if and (kindIs "string" $value) (regexMatch "^[a-z]+://[^/@]*:[^/@]*@" $value) -}}
{{- fail (printf "%s.%s is an address with a password in it: a ConfigMap is no place for that" $path $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What has no default. */}}
{{- define "processor.required" -}}
{{- $settings := .Values.settings -}}
{{- $_ := required "secrets.existingSecret is required: a Secret with the keys ims_client_secret and admin_token" .Values.secrets.existingSecret -}}
{{- $_ = required "settings.kafka.bootstrap_servers is required" $settings.kafka.bootstrap_servers -}}
{{- $_ = required "settings.kafka.topics is required, or topics_regex" (or $settings.kafka.topics $settings.kafka.topics_regex) -}}
{{- $_ = required "settings.ims.client_id is required" $settings.ims.client_id -}}
{{- $_ = required "settings.experience_platform.org_id is required" $settings.experience_platform.org_id -}}
{{- $_ = required "settings.experience_platform.tenant is required" $settings.experience_platform.tenant -}}
{{- $_ = required "settings.experience_platform.targets is required: at least one target" $settings.experience_platform.targets -}}
{{- if and .Values.staticMembership (ne .Values.workload "StatefulSet") -}}
{{- fail "staticMembership needs workload: StatefulSet, whose pods keep their names" -}}
{{- end -}}
{{- end -}}

{{- define "processor.config" -}}
{{- include "processor.required" . -}}
{{- include "processor.noSecrets" (dict "table" .Values.settings "path" "settings") -}}
# Made by Helm of the release's values.
{{- include "processor.toml" (dict "table" .Values.settings "path" "") }}
{{ end -}}

{{/* Bytes that the pod needs, with a quarter left free, in MiB. */}}
{{- define "processor.memoryMi" -}}
{{- $tasks := int (default 1 .Values.settings.tasks_max) -}}
{{- $need := add (int .Values.memory.supervisorMi) (mul $tasks (int .Values.memory.taskMi)) -}}
{{- div (mul $need 4) 3 -}}
{{- end -}}

{{- define "processor.resources" -}}
{{- if .Values.resources -}}
{{- toYaml .Values.resources -}}
{{- else -}}
requests:
  cpu: {{ mul (int (default 1 .Values.settings.tasks_max)) (int .Values.cpu.taskMillicores) }}m
  memory: {{ include "processor.memoryMi" . }}Mi
limits:
  memory: {{ include "processor.memoryMi" . }}Mi
{{- end -}}
{{- end -}}

{{- define "processor.graceSeconds" -}}
{{- add (ceil (.Values.settings.delivery.drain_timeout_s | float64)) (int .Values.terminationMarginSeconds) -}}
{{- end -}}

{{- define "processor.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "processor.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "processor.env" -}}
- name: PROCESSOR_CONFIG
  value: /etc/processor/processor.toml
{{- if .Values.staticMembership }}
- name: PROCESSOR_KAFKA__CONSUMER__GROUP_INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- range $name, $value := .Values.env }}
{{- if and $value (regexMatch "(?i)(password|secret|secret_next|token|key|authorization|credentials?|ssl_key_pem|sasl_oauthbearer_config|sasl_jaas_config)$" $name) }}
{{- fail (printf "env.%s is a secret: put it into the Secret (secrets.existingSecret) and name its file in %s_FILE" $name $name) }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "processor.volumeMounts" -}}
- name: config
  mountPath: /etc/processor
  readOnly: true
- name: secrets
  mountPath: /run/secrets/processor
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "processor.volumes" -}}
- name: config
  configMap:
    name: {{ include "processor.fullname" . }}
- name: secrets
  secret:
    secretName: {{ .Values.secrets.existingSecret }}
    # The pod's group reads them; nobody else does.
    defaultMode: 0440
# Python wants a place for sockets and semaphores; nothing else is written.
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
