// What the detection of a mode returns for itself, where a test decides it without any runtime.

export const dockerState = (overrides: object = {}) => ({
  ...{
    runtime: 'runc',
    desktop: false,
    hostNetwork: [] as string[],
    ignoresLimits: [] as string[],
    otherNames: {},
  },
  ...overrides,
});

export const podmanState = (overrides: object = {}) => ({
  ...{
    runtime: 'crun',
    rootless: false,
    remote: false,
    cgroup: 'v2',
    rootlessNetwork: 'slirp4netns',
    otherNames: {},
    versions: {},
  },
  ...overrides,
});

export const incusState = (overrides: object = {}) => ({ far: false, oci: false, ...overrides });
