// What the agent could reach: tried from inside, with what was seen as evidence.
import type { Wall } from '../../probe-record.js';
import { inSandbox, type Subject } from '../sandbox.js';

/** @throws what opening a sandbox throws; what was told until then stands */
export async function probeWalls(subject: Subject, _settings: { reach: readonly string[] }, tell: (wall: Wall) => void): Promise<void> {
  await inSandbox(subject, ['walls.mjs'], { tail: 'walls' }, async (sandbox) => {
    for await (const { value } of sandbox.ask<Wall>('walls.mjs', {})) tell(value);
  });
}
