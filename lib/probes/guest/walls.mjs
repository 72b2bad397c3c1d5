// Runs inside a sandbox: tries what an agent could try, and tells what came of it, a wall a line.
const uid = process.getuid?.();
console.log(JSON.stringify({ wall: 'root', observed: uid === 0 ? 'open' : 'closed', evidence: `uid ${uid}` }));
