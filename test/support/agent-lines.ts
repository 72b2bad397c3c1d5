// Lines of the agent's stream-json in the shapes that the real one (2.1) prints, for tests that
// play the agent.
import { agentVersion } from '../../lib/package.js';

const SESSION = {
  session_id: '5f1c1d6e-0000-4000-8000-000000000000',
  uuid: '6a2d2e7f-0000-4000-8000-000000000000',
};

const line = (event: object) => JSON.stringify({ ...event, ...SESSION });

export const hookStarted = () =>
  line({ type: 'system', subtype: 'hook_started', hook_event: 'SessionStart' });

export const init = (version = agentVersion) =>
  line({
    type: 'system',
    subtype: 'init',
    cwd: '/workspace',
    tools: ['Bash', 'Write'],
    mcp_servers: [],
    model: 'claude-sonnet-4-5',
    permissionMode: 'bypassPermissions',
    slash_commands: [],
    apiKeySource: 'none',
    claude_code_version: version,
    output_style: 'default',
  });

const assistant = (block: object) =>
  line({
    type: 'assistant',
    message: {
      id: 'msg_1',
      model: 'claude-sonnet-4-5',
      role: 'assistant',
      content: [block],
      usage: { input_tokens: 1, output_tokens: 1 },
    },
    parent_tool_use_id: null,
  });

export const assistantText = (text: string) => assistant({ type: 'text', text });

export const uses = (id: string, name: string, input: Record<string, unknown>) =>
  assistant({ type: 'tool_use', id, name, input });

export const writes = (id: string, path: string, content: string) =>
  uses(id, 'Write', { file_path: path, content });

/** @param content a string, or a list of blocks: the agent prints either */
export const toolResult = (id: string, content: string | object[], isError = false) =>
  line({
    type: 'user',
    message: {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: id, content, is_error: isError }],
    },
    timestamp: '2026-11-21T04:00:00.000Z',
    tool_use_result:
      typeof content === 'string' ? { stdout: content, stderr: '', interrupted: false } : undefined,
  });

export const userText = (text: string) =>
  line({ type: 'user', message: { role: 'user', content: text } });

export const result = (change: Record<string, unknown> = {}) =>
  line({
    type: 'result',
    subtype: 'success',
    is_error: false,
    api_error_status: null,
    duration_ms: 900,
    duration_api_ms: 10,
    ttft_ms: 12,
    time_to_request_ms: 300,
    num_turns: 3,
    result: 'Created hello.mjs and ran it.',
    stop_reason: 'end_turn',
    total_cost_usd: 0,
    usage: { input_tokens: 3, output_tokens: 3 },
    modelUsage: {},
    permission_denials: [],
    ...change,
  });

export const apiRetry = (status: number) =>
  line({
    type: 'system',
    subtype: 'api_retry',
    attempt: 1,
    max_retries: 10,
    retry_delay_ms: 500,
    error_status: status,
    error: 'overloaded_error',
  });
