# The image that every container mode runs: Node, git and the agent CLI at the version the host uses too.
ARG BASE_IMAGE=node:22-slim
FROM ${BASE_IMAGE}

# A base that brings git already (the rig's, which is built offline) needs no package source here.
RUN command -v git >/dev/null && command -v ps >/dev/null || { \
      apt-get update && apt-get install -y --no-install-recommends ca-certificates git procps && rm -rf /var/lib/apt/lists/*; }

# A company proxy's CA, where the builder's environment names one (NODE_EXTRA_CA_CERTS); else the folder is empty.
COPY lib/task/ca/ /tmp/ca/
ARG AGENT_VERSION
RUN if [ -s /tmp/ca/bundle.crt ]; then export NODE_EXTRA_CA_CERTS=/tmp/ca/bundle.crt npm_config_cafile=/tmp/ca/bundle.crt; fi; \
    npm install -g --no-audit --no-fund "@anthropic-ai/claude-code@${AGENT_VERSION:?pass --build-arg AGENT_VERSION}" \
    && rm -rf /root/.npm /tmp/ca && claude --version

# The uid of most single-user machines; a bind-mounted workspace then keeps its owner. Bases that give 1000
# to a user of their own lose that user.
RUN if id -un 1000 >/dev/null 2>&1; then userdel --remove "$(id -un 1000)" 2>/dev/null || true; fi; \
    useradd --create-home --uid 1000 --shell /bin/bash agent && mkdir /workspace && chown agent /workspace

# Where root starts the container, its agent is a user that nobody on the host is (lib/os/sandbox-user.ts); here that id has a name too.
RUN echo 'nobodys:x:60578:60578::/home/agent:/bin/bash' >> /etc/passwd && echo 'nobodys:x:60578:' >> /etc/group

# The same agent home in every runtime; any uid may write to it, so that a caller's own uid works too.
COPY lib/task/home/ /home/agent/
RUN chown -R agent:agent /home/agent && chmod -R a+rwX /home/agent

USER agent
ENV HOME=/home/agent
WORKDIR /workspace
CMD ["claude", "-p", "--dangerously-skip-permissions"]
