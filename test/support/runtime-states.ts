// What the detection of a mode returns for itself, where a test decides it without any runtime.

export const dockerState = (more: object = {}) => ({
  ...{ runtime: 'runc', desktop: false, hostNetwork: [] as string[], ignoresLimits: [] as string[], otherNames: {} },
  ...more,
});

export const podmanState = (more: object = {}) => ({
  ...{ runtime: 'crun', rootless: false, remote: false, cgroup: 'v2', rootlessNetwork: 'slirp4netns', otherNames: {}, versions: {} },
  ...more,
});

export const incusState = (more: object = {}) => ({ far: false, oci: false, ...more });
