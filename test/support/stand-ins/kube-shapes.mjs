// What Kubernetes' API takes, trimmed to what cagematch sends: a field, name, label or quantity
// that the real one refuses is refused. Sources, read 2026-11-21:
// kubernetes.io/docs/reference/generated/kubernetes-api/v1.33 (Job, PodSpec, Container, Secret),
// its pages "Labels and Selectors", "Object Names and IDs", "Resource Management", "Pod Security
// Standards" (restricted), and github.com/kubernetes-sigs/agent-sandbox
// api/v1beta1/sandbox_types.go. All field names went through kubectl 1.32 with --local.
import { z } from 'zod';

const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'a lowercase RFC 1123 label');
const dnsName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'a lowercase RFC 1123 subdomain',
  );
const keyName =
  /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const qualified = z.string().regex(keyName, 'a qualified name');
const labelValue = z
  .string()
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/,
    'a valid label must be at most 63 of alphanumerics, -, _ and .',
  );
const quantity = z
  .string()
  .regex(
    /^([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?[0-9]+)?$/,
    'quantities must match the regular expression',
  );
const seconds = z
  .number()
  .int()
  .positive()
  .max(2 ** 31 - 1);
const id = z
  .number()
  .int()
  .min(0)
  .max(2 ** 31 - 1);

const labels = z.record(qualified, labelValue);
const annotations = z.record(qualified, z.string());
const ownerReference = z.strictObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string().min(1),
  uid: z.uuid(),
});
/** @param {z.ZodType} name */
const metadataOf = (name) =>
  z.strictObject({
    name,
    labels: labels.optional(),
    annotations: annotations.optional(),
    ownerReferences: z.array(ownerReference).optional(),
  });

const RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];
const amounts = z.record(
  z
    .string()
    .refine((name) => RESOURCES.includes(name), 'must be a standard resource for containers'),
  quantity,
);
const container = z.strictObject({
  name: dnsLabel,
  image: z.string().min(1, 'Required value'),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  resources: z
    .strictObject({ requests: amounts.optional(), limits: amounts.optional() })
    .optional(),
  securityContext: z
    .strictObject({
      allowPrivilegeEscalation: z.boolean().optional(),
      privileged: z.boolean().optional(),
      readOnlyRootFilesystem: z.boolean().optional(),
      capabilities: z
        .strictObject({ add: z.array(z.string()).optional(), drop: z.array(z.string()).optional() })
        .optional(),
    })
    .optional(),
  volumeMounts: z
    .array(
      z.strictObject({
        name: dnsLabel,
        mountPath: z.string().regex(/^\/[^:]*$/, 'must not contain ":"'),
        readOnly: z.boolean().optional(),
      }),
    )
    .optional(),
});

const podSpec = z
  .strictObject({
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
    runtimeClassName: dnsName.optional(),
    activeDeadlineSeconds: seconds.optional(),
    terminationGracePeriodSeconds: z.number().int().min(0).optional(),
    automountServiceAccountToken: z.boolean().optional(),
    enableServiceLinks: z.boolean().optional(),
    securityContext: z
      .strictObject({
        runAsNonRoot: z.boolean().optional(),
        runAsUser: id.optional(),
        runAsGroup: id.optional(),
        fsGroup: id.optional(),
        seccompProfile: z
          .strictObject({ type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']) })
          .optional(),
      })
      .optional(),
    containers: z.array(container).min(1, 'Required value'),
    volumes: z
      .array(
        z.strictObject({
          name: dnsLabel,
          secret: z.strictObject({
            secretName: dnsName,
            defaultMode: z.number().int().min(0).max(0o777),
          }),
        }),
      )
      .optional(),
  })
  .superRefine(({ containers, volumes = [] }, ctx) => {
    for (const { volumeMounts = [] } of containers)
      for (const { name } of volumeMounts)
        if (!volumes.some((volume) => volume.name === name))
          ctx.addIssue({
            code: 'custom',
            path: ['containers', 0, 'volumeMounts'],
            message: `Not found: "${name}"`,
          });
  });
const template = z.strictObject({
  metadata: z.strictObject({ labels: labels.optional(), annotations: annotations.optional() }),
  spec: podSpec,
});

const shapes = {
  Job: z.strictObject({
    apiVersion: z.literal('batch/v1'),
    kind: z.literal('Job'),
    // Its name becomes a label of its pods.
    metadata: metadataOf(dnsLabel),
    spec: z.strictObject({
      backoffLimit: z.number().int().min(0).optional(),
      activeDeadlineSeconds: seconds.optional(),
      ttlSecondsAfterFinished: z.number().int().min(0).optional(),
      template: template.refine(
        ({ spec }) => spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure',
        {
          path: ['spec', 'restartPolicy'],
          message: 'Required value: valid values: "OnFailure", "Never"',
        },
      ),
    }),
  }),
  Sandbox: z.strictObject({
    apiVersion: z.literal('agents.x-k8s.io/v1beta1'),
    kind: z.literal('Sandbox'),
    metadata: metadataOf(dnsLabel),
    spec: z.strictObject({
      podTemplate: template,
      shutdownTime: z.iso.datetime().optional(),
      shutdownPolicy: z.enum(['Delete', 'Retain']).optional(),
    }),
  }),
  Secret: z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Secret'),
    metadata: metadataOf(dnsName),
    type: z.string().optional(),
    immutable: z.boolean().optional(),
    stringData: z
      .record(z.string().regex(/^[-._a-zA-Z0-9]+$/, 'a valid config key'), z.string())
      .optional(),
    data: z.record(z.string().regex(/^[-._a-zA-Z0-9]+$/), z.base64()).optional(),
  }),
};

/**
 * The API's answer to a manifest, or nothing where it takes it.
 * @param {any} object
 * @returns {string | undefined}
 */
export function whyRefused(object) {
  const shape = shapes[/** @type {keyof typeof shapes} */ (object.kind)];
  if (!shape) return `no matches for kind "${object.kind}" in version "${object.apiVersion}"`;
  const checked = shape.safeParse(object);
  if (checked.success) return undefined;
  const [issue] = checked.error.issues;
  const path = (issue?.path ?? []).join('.');
  if (issue?.code === 'unrecognized_keys')
    return `${object.kind} in version "${object.apiVersion}" cannot be handled: strict decoding error: unknown field "${[...issue.path, issue.keys[0]].join('.')}"`;
  return `${object.kind} "${object.metadata?.name}" is invalid: ${path}: Invalid value: ${issue?.message}`;
}

/**
 * What a namespace that enforces the standard "restricted" says of a pod, or nothing.
 * @param {z.infer<typeof podSpec>} spec
 */
export function violation({ securityContext: pod = {}, containers }) {
  const wrong = containers.flatMap(({ name, securityContext: own = {} }) => [
    ...(own.allowPrivilegeEscalation === false
      ? []
      : [`allowPrivilegeEscalation != false (container "${name}")`]),
    ...(own.capabilities?.drop?.includes('ALL')
      ? []
      : [`unrestricted capabilities (container "${name}" must set drop=["ALL"])`]),
    ...(own.privileged ? [`privileged (container "${name}")`] : []),
  ]);
  if (pod.runAsNonRoot !== true || pod.runAsUser === 0) wrong.push('runAsNonRoot != true');
  if (pod.seccompProfile?.type !== 'RuntimeDefault')
    wrong.push('seccompProfile (must set "RuntimeDefault")');
  return wrong.length === 0
    ? undefined
    : `violates PodSecurity "restricted:latest": ${wrong.join(', ')}`;
}
